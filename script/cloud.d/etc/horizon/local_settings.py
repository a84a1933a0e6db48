"""The dashboard's settings, a template: what stands between two at signs is filled in. Knows no other service's configuration."""

DEBUG = False
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "@key horizon@"  # noqa: S105
WEBROOT = "/"
STATIC_ROOT = "@dashboard@/static"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": "127.0.0.1:11211"}}
OPENSTACK_KEYSTONE_URL = "http://127.0.0.1:5000/v3"
OPENSTACK_KEYSTONE_DEFAULT_ROLE = "member"
OPENSTACK_ENDPOINT_TYPE = "publicURL"
POLICY_CHECK_FUNCTION = None
TIME_ZONE = "UTC"

# The OpenStack services, each as its install guide says: tables, configuration, processes. Sourced inside after daemons.sh.

start_keystone() {
    local manage=("$SERVICES/bin/keystone-manage" --config-file "$CLOUD/etc/keystone/keystone.conf")
    mkdir -p "$CLOUD/var/keystone/fernet-keys" "$CLOUD/var/keystone/credential-keys"
    chmod 700 "$CLOUD"/var/keystone/*-keys
    once keystone make_keystone || return
    OS_KEYSTONE_CONFIG_DIR=$CLOUD/etc/keystone OS_KEYSTONE_CONFIG_FILES=keystone.conf serve keystone 5000 keystone.wsgi.api:application 2 4
    until_so 60 answers http://127.0.0.1:5000/v3 || return
    once identities plant identities
}

make_keystone() {
    "${manage[@]}" db_sync &&
        "${manage[@]}" fernet_setup --keystone-user root --keystone-group root &&
        "${manage[@]}" credential_setup --keystone-user root --keystone-group root &&
        OS_BOOTSTRAP_PASSWORD=$(cat "$CLOUD/secret/admin") "${manage[@]}" bootstrap --bootstrap-username admin --bootstrap-project-name admin \
            --bootstrap-role-name admin --bootstrap-service-name keystone --bootstrap-region-id RegionOne --bootstrap-admin-url http://127.0.0.1:5000/v3 \
            --bootstrap-public-url http://127.0.0.1:5000/v3 --bootstrap-internal-url http://127.0.0.1:5000/v3
}

# plant WHAT: puts content into a running service (seed.py).
plant() { timeout 600 "$SERVICES/bin/python" "$CLOUD_LIB/seed.py" "$CLOUD" "$1"; }

start_glance() {
    mkdir -p "$CLOUD"/var/glance/{images,tasks,staging}
    once glance "$SERVICES/bin/glance-manage" --config-file "$CLOUD/etc/glance/glance-api.conf" db_sync || return
    OS_GLANCE_CONFIG_DIR=$CLOUD/etc/glance serve glance 9292 glance.wsgi.api:application 1 6
    until_so 60 answers http://127.0.0.1:9292/
}

start_placement() {
    once placement "$SERVICES/bin/placement-manage" --config-file "$CLOUD/etc/placement/placement.conf" db sync || return
    OS_PLACEMENT_CONFIG_DIR=$CLOUD/etc/placement serve placement 8780 placement.wsgi.api:application 1 6
    until_so 60 answers http://127.0.0.1:8780/
}

start_neutron() {
    mkdir -p "$CLOUD/var/neutron" /run/neutron
    once neutron "$SERVICES/bin/neutron-db-manage" --config-file "$CLOUD/etc/neutron/neutron.conf" \
        --config-file "$CLOUD/etc/neutron/ml2_conf.ini" upgrade heads || return
    OS_NEUTRON_CONFIG_DIR=$CLOUD/etc/neutron OS_NEUTRON_CONFIG_FILES='neutron.conf;ml2_conf.ini' PYTHONPATH=$CLOUD_LIB/plugins TMPDIR=/run/neutron \
        serve neutron 9696 cloud_neutron:application 1 8
    until_so 90 answers http://127.0.0.1:9696/ || return
    once networks plant networks
}

start_cinder() {
    local conf=$CLOUD/etc/cinder/cinder.conf
    export PYTHONPATH=$CLOUD_LIB/plugins
    mkdir -p "$CLOUD"/var/cinder/{volumes,coordination}
    once cinder "$SERVICES/bin/cinder-manage" --config-file "$conf" db sync || return
    serve cinder 8776 cinder.wsgi.api:application 1 6 "$conf"
    start cinder-scheduler "$SERVICES/bin/cinder-scheduler" --config-file "$conf"
    start cinder-volume "$SERVICES/bin/cinder-volume" --config-file "$conf"
    until_so 90 answers http://127.0.0.1:8776/ || return
    plant volumes
}

start_heat() {
    local conf=$CLOUD/etc/heat/heat.conf
    mkdir -p "$CLOUD/var/heat/plugins"
    once heat "$SERVICES/bin/heat-manage" --config-file "$conf" db_sync || return
    serve heat 8004 heat.wsgi.api:application 1 6 "$conf"
    start heat-engine "$SERVICES/bin/heat-engine" --config-file "$conf"
    until_so 60 answers http://127.0.0.1:8004/ || return
    plant stacks
}

start_horizon() {
    export DASHBOARD_SETTINGS=$CLOUD/etc/horizon/local_settings.py DJANGO_SETTINGS_MODULE=openstack_dashboard.settings
    UWSGI_OPTIONS=(--static-map "/static=$DASHBOARD/static")
    SERVICES=$DASHBOARD serve horizon 8080 'django.core.wsgi:get_wsgi_application()' 1 6
    until_so 60 answers http://127.0.0.1:8080/auth/login/
}

# What every script that works inside the cloud's namespaces needs: inside.sh DIR NODE SERVICES DASHBOARD. Sourced.
CLOUD_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
CLOUD=$1 CLOUD_NODE=$2 SERVICES=$3 DASHBOARD=$4
for part in ../lib/say ../lib/engines daemons infrastructure services higgins; do . "$CLOUD_LIB/$part.sh"; done
export PATH=/usr/sbin:/usr/bin:/sbin:/bin no_proxy=127.0.0.1,localhost PYTHONUNBUFFERED=1
unset PYTHONPATH PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

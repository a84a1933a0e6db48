# What the services stand on: database, message queue, cache, and the virtual network's switch. Sourced inside after daemons.sh.

sql() { mariadb --no-defaults --user=root --socket="$CLOUD/run/mysql.sock" "$@"; }

start_mariadb() {
    local data=$CLOUD/var/mysql name
    once mysql mariadb-install-db --no-defaults --datadir="$data" --user=root --auth-root-authentication-method=socket --skip-test-db >>"$CLOUD/log/mariadb-install.log" 2>&1
    # Nothing in here has to outlive a machine that loses its power.
    start mariadb /usr/sbin/mariadbd --no-defaults --user=root --datadir="$data" --socket="$CLOUD/run/mysql.sock" --pid-file="$CLOUD/run/mysqld" \
        --bind-address=127.0.0.1 --port=3306 --skip-name-resolve --max-connections=1000 --character-set-server=utf8mb4 \
        --innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit=0 --sync-binlog=0 --innodb-doublewrite=0 --performance-schema=OFF
    until_so 60 sql --execute 'SELECT 1' >/dev/null 2>&1 || return
    once databases make_databases
}

make_databases() {
    local name
    for name in keystone glance placement neutron cinder heat higgins; do
        printf "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb3;\n" "$name"
        printf "CREATE OR REPLACE USER '%s'@'127.0.0.1' IDENTIFIED BY '%s';\n" "$name" "$(cat "$CLOUD/secret/$name")"
        printf "GRANT ALL ON %s.* TO '%s'@'127.0.0.1';\n" "$name" "$name"
    done | sql
}

start_rabbitmq() {
    local home=$CLOUD/var/rabbitmq
    mkdir -p "$home"
    [ -e "$home/.erlang.cookie" ] || (umask 377 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$home/.erlang.cookie")
    start rabbitmq env HOME="$home" RABBITMQ_NODENAME=cloud@localhost RABBITMQ_CONFIG_FILE="$CLOUD/etc/rabbitmq/rabbitmq" \
        RABBITMQ_MNESIA_BASE="$home" RABBITMQ_LOG_BASE="$CLOUD/log" RABBITMQ_ENABLED_PLUGINS_FILE="$home/plugins" \
        RABBITMQ_DIST_PORT=25672 ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}' \
        /usr/lib/rabbitmq/bin/rabbitmq-server
    until_so 90 listens 5672
}

start_memcached() {
    start memcached /usr/bin/memcached -u root -l 127.0.0.1 -p 11211 -m 32
    until_so 10 listens 11211
}

# The switch runs in user space, so that no kernel module is needed; its files are where everyone looks for them: /run/openvswitch, /run/ovn.
# Over TCP the databases would end the connection of whoever is too busy to answer for five seconds.
start_ovn() {
    local data=$CLOUD/var/ovn
    mkdir -p "$data"
    export OVS_LOGDIR=$CLOUD/log OVN_LOGDIR=$CLOUD/log
    once ovn make_ovn_databases "$data" || return
    start ovsdb ovsdb-server "$data/conf.db" "$data/ovnnb.db" "$data/ovnsb.db" --unixctl=/run/openvswitch/ovsdb-server.ctl -vconsole:warn \
        --remote=punix:/run/openvswitch/db.sock --remote=ptcp:6640:127.0.0.1 --remote=punix:/run/ovn/ovnnb_db.sock --remote=punix:/run/ovn/ovnsb_db.sock
    until_so 20 ovn_databases_listen || return
    describe_chassis
    start vswitchd ovs-vswitchd --disable-system unix:/run/openvswitch/db.sock --unixctl=/run/openvswitch/ovs-vswitchd.ctl -vconsole:warn
    ovs-vsctl --timeout=300 --may-exist add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure other-config:disable-in-band=true &&
        ovs-vsctl --timeout=300 --may-exist add-br br-ex -- set bridge br-ex datapath_type=netdev || return
    # Of a database that has the bridge already, the switch makes the device only now.
    until_so 20 ip link set br-ex up 2>/dev/null && ip address replace 172.24.4.1/24 dev br-ex || return
    start northd ovn-northd --unixctl=/run/ovn/ovn-northd.ctl -vconsole:warn
    until_so 30 chassis_is_there
}

# One that was started by an older version of this does not yet.
ovn_databases_listen() {
    local name
    for name in nb sb; do
        [ -S "/run/ovn/ovn${name}_db.sock" ] || ovs-appctl --target=/run/openvswitch/ovsdb-server.ctl ovsdb-server/add-remote "punix:/run/ovn/ovn${name}_db.sock"
    done
    ovn-sbctl --timeout=5 show >/dev/null
}

make_ovn_databases() {
    ovsdb-tool create "$1/conf.db" /usr/share/openvswitch/vswitch.ovsschema &&
        ovsdb-tool create "$1/ovnnb.db" /usr/share/ovn/ovn-nb.ovsschema &&
        ovsdb-tool create "$1/ovnsb.db" /usr/share/ovn/ovn-sb.ovsschema
}

# The last option must be there before ovs-vswitchd starts: without it TCP and UDP of a plain veth, whose checksums are left to the device, are dropped.
describe_chassis() {
    ovs-vsctl --no-wait init
    ovs-vsctl --no-wait set Open_vSwitch . external_ids:system-id="$CLOUD_NODE" external_ids:hostname="$CLOUD_NODE" \
        external_ids:ovn-remote=unix:/run/ovn/ovnsb_db.sock external_ids:ovn-encap-type=geneve external_ids:ovn-encap-ip=127.0.0.1 \
        external_ids:ovn-bridge=br-int external_ids:ovn-bridge-datapath-type=netdev external_ids:ovn-bridge-mappings=public:br-ex \
        external_ids:ovn-cms-options=enable-chassis-as-gw external_ids:ovn-monitor-all=true \
        other_config:userspace-tso-enable=true
}

# ovn-controller 23.03 has been seen to crash in its first second, rarely, and to work when started again.
chassis_is_there() {
    start ovn-controller ovn-controller unix:/run/openvswitch/db.sock -vconsole:warn
    [ -n "$(ovn-sbctl --timeout=5 --bare --columns=name list chassis)" ] && sleep 0.5 && alive ovn-controller
}

package doctor

// systems are the switches that the report has lines for, with the manual that the lines follow.
// Those with the more specific texts come first. The manuals were read in November 2026.
var systems = []system{
	{key: "mikrotik", name: "MikroTik RouterOS", match: []string{"mikrotik"},
		title: "MikroTik, RouterOS: Switch Chip Features, Port Mirroring",
		url:   "https://help.mikrotik.com/docs/spaces/ROS/pages/15302988/Switch+Chip+Features",
		lines: map[remedy][]string{
			makeMirror: {"/interface/ethernet/switch/set switch1 mirror-target=SENSOR",
				"/interface/ethernet/switch/port/set SOURCE mirror-ingress=yes " +
					"mirror-egress=yes",
				"# before RouterOS 7.15:",
				"/interface/ethernet/switch/set switch1 mirror-source=SOURCE mirror-target=SENSOR"},
			bothWays: {"/interface/ethernet/switch/port/set SOURCE mirror-ingress=yes " +
				"mirror-egress=yes"},
			otherSource: {"/interface/ethernet/switch/rule/add switch=switch1 ports=SOURCE " +
				"vlan-id=VLAN mirror=yes"},
			oneCopy: {"/interface/ethernet/switch/port/set SOURCE mirror-ingress=yes " +
				"mirror-egress=no"},
		}},
	{key: "nxos", name: "Cisco NX-OS", match: []string{"nx-os", "nxos", "cisco nexus"},
		title: "Cisco, Nexus 6000 NX-OS System Management Configuration Guide, SPAN",
		url: "https://www.cisco.com/c/en/us/td/docs/switches/datacenter/nexus6000/sw/" +
			"system_management/7x/b_6k_System_Mgmt_Config_7x/configuring_span.html",
		lines: map[remedy][]string{
			makeMirror: {"interface SENSOR", " switchport monitor", "monitor session 1",
				" source interface SOURCE both", " destination interface SENSOR", " no shut"},
			bothWays:    {"monitor session 1", " source interface SOURCE both"},
			otherSource: {"monitor session 1", " source vlan VLAN"},
			oneCopy:     {"monitor session 1", " source interface SOURCE rx"},
		}},
	{key: "ios", name: "Cisco IOS and IOS XE", match: []string{"cisco ios", "catalyst", "cisco ws-",
		"cisco c9", "ios-xe", "ios xe"},
		title: "Cisco, Command Reference, IOS XE 16.8 (Catalyst 9300), monitor session",
		url: "https://www.cisco.com/c/en/us/td/docs/switches/lan/catalyst9300/software/release/" +
			"16-8/command_reference/b_168_9300_cr/network_management_commands.html",
		lines: map[remedy][]string{
			makeMirror: {"monitor session 1 source interface SOURCE both",
				"monitor session 1 destination interface SENSOR encapsulation replicate"},
			bothWays: {"no monitor session 1 source interface SOURCE",
				"monitor session 1 source interface SOURCE both"},
			otherSource: {"no monitor session 1 source interface SOURCE",
				"monitor session 1 source vlan VLAN both"},
			oneCopy: {"no monitor session 1 source interface SOURCE",
				"monitor session 1 source interface SOURCE rx"},
		}},
	{key: "junos", name: "Juniper Junos (ELS)", match: []string{"junos", "juniper"},
		title: "Juniper, Junos 13.2: show forwarding-options analyzer (EX Series, ELS)",
		url: "https://www.juniper.net/documentation/en_US/junos13.2/topics/reference/" +
			"command-summary/show-analyzer-els.html",
		lines: map[remedy][]string{
			makeMirror: {
				"set forwarding-options analyzer spamsensor input ingress interface SOURCE",
				"set forwarding-options analyzer spamsensor input egress interface SOURCE",
				"set forwarding-options analyzer spamsensor output interface SENSOR", "commit"},
			bothWays: {"set forwarding-options analyzer spamsensor input ingress interface SOURCE",
				"set forwarding-options analyzer spamsensor input egress interface SOURCE",
				"commit"},
			otherSource: {"set forwarding-options analyzer spamsensor input ingress vlan VLAN",
				"commit"},
			oneCopy: {"delete forwarding-options analyzer spamsensor input egress", "commit"},
		}},
	{key: "aos-cx", name: "Aruba AOS-CX", match: []string{"aos-cx", "arubaos-cx", " gl.10.",
		" fl.10.", " ml.10.", " pl.10.", " ll.10.", " xl.10.", " tl.10.", " cl.10.", " dl.10."},
		title: "HPE Aruba, 8320 guide 10.01: source interface (config-mirror)",
		url: "https://support.hpe.com/techhub/eginfolib/Aruba/8320_10.01/5200-5120/" +
			"GUID-72B6DEF7-2008-4790-9071-38EF01E15974.html",
		lines: map[remedy][]string{
			makeMirror: {"mirror session 1", " source interface SOURCE both",
				" destination interface SENSOR", " enable"},
			bothWays:    {"mirror session 1", " source interface SOURCE both"},
			otherSource: {"mirror session 1", " source interface SOURCE-OF-THE-VLAN both"},
			oneCopy:     {"mirror session 1", " source interface SOURCE rx"},
		}},
	{key: "aos-switch", name: "ArubaOS-Switch (ProCurve)",
		match: []string{"arubaos", "procurve", "aruba", "hp j", "hpe j"},
		title: "HPE, ArubaOS-Switch Management and Configuration Guide: mirror configuration",
		url: "https://techhub.hpe.com/eginfolib/networking/docs/switches/K-KA-KB/15-18/" +
			"5998-8160_ssw_mcg/content/ch11s50.html",
		lines: map[remedy][]string{
			makeMirror:  {"mirror 1 port SENSOR", "interface SOURCE monitor all both mirror 1"},
			bothWays:    {"interface SOURCE monitor all both mirror 1"},
			otherSource: {"vlan VLAN monitor all both mirror 1"},
			oneCopy:     {"interface SOURCE monitor all in mirror 1"},
		}},
	{key: "comware", name: "HPE Comware", match: []string{"comware"},
		title: "HPE, Configuring port mirroring on the switch",
		url: "https://support.hpe.com/techhub/eginfolib/networking/docs/IMC/v7_2/5200-1407/" +
			"content/458523948.htm",
		lines: map[remedy][]string{
			makeMirror: {"mirroring-group 1 local", "mirroring-group 1 mirroring-port SOURCE both",
				"mirroring-group 1 monitor-port SENSOR"},
			bothWays: {"undo mirroring-group 1 mirroring-port SOURCE",
				"mirroring-group 1 mirroring-port SOURCE both"},
			oneCopy: {"undo mirroring-group 1 mirroring-port SOURCE",
				"mirroring-group 1 mirroring-port SOURCE inbound"},
		}},
	{key: "ovs", name: "Open vSwitch", match: []string{"open vswitch", "openvswitch"},
		title: "Open vSwitch, ovs-vswitchd.conf.db(5), table Mirror",
		url:   "https://man7.org/linux/man-pages/man5/ovs-vswitchd.conf.db.5.html",
		lines: map[remedy][]string{
			makeMirror: {"ovs-vsctl -- --id=@s get port SOURCE -- --id=@d get port SENSOR \\",
				" -- --id=@m create mirror name=spamsensor \\",
				" select_src_port=@s select_dst_port=@s \\",
				" output_port=@d -- set bridge BRIDGE mirrors=@m"},
			bothWays: {"ovs-vsctl -- --id=@s get port SOURCE \\",
				" -- set mirror spamsensor select_src_port=@s select_dst_port=@s"},
			otherSource: {"ovs-vsctl set mirror spamsensor select_all=true select_vlan=VLAN"},
			oneCopy:     {"ovs-vsctl clear mirror spamsensor select_dst_port"},
		}},
	{key: "tc", name: "Linux (tc)", match: []string{"linux", "debian", "ubuntu", "openwrt", "vyos",
		"proxmox", "cumulus"},
		title: "iproute2, tc-mirred(8)",
		url:   "https://man7.org/linux/man-pages/man8/tc-mirred.8.html",
		lines: map[remedy][]string{
			makeMirror: {"tc qdisc add dev SOURCE clsact",
				"tc filter add dev SOURCE ingress u32 match u32 0 0 \\",
				" action mirred egress mirror dev SENSOR",
				"tc filter add dev SOURCE egress u32 match u32 0 0 \\",
				" action mirred egress mirror dev SENSOR"},
			bothWays: {"tc filter show dev SOURCE ingress; tc filter show dev SOURCE egress",
				"# add the one that is missing:",
				"tc filter add dev SOURCE ingress u32 match u32 0 0 \\",
				" action mirred egress mirror dev SENSOR",
				"tc filter add dev SOURCE egress u32 match u32 0 0 \\",
				" action mirred egress mirror dev SENSOR"},
			otherSource: {"tc filter add dev SOURCE ingress protocol 802.1Q flower vlan_id VLAN \\",
				" action mirred egress mirror dev SENSOR",
				"tc filter add dev SOURCE egress protocol 802.1Q flower vlan_id VLAN \\",
				" action mirred egress mirror dev SENSOR"},
			oneCopy: {"tc filter del dev SOURCE egress"},
		}},
}

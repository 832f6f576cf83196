package flowtable_test

import (
	"fmt"
	"net/netip"

	"spamsensor/flowtable"
)

// A table with values of its own for flows, sources and entries of the SYN cache.
func Example() {
	type flow struct{ packets int }
	table := flowtable.New(flowtable.Config{Flows: 1024, Sources: 1024},
		flowtable.Callbacks[flow, struct{}, struct{}]{
			FlowKeepPriority:   func(f *flow) int64 { return int64(f.packets) },
			SourceKeepPriority: func(*struct{}) int64 { return 0 },
		})

	client, server := netip.MustParseAddr("192.0.2.1").As16(),
		netip.MustParseAddr("198.51.100.25").As16()
	var key flowtable.Key
	key.Set(&client, &server, 40000, 25, flowtable.NewScope(false, 0))

	host := key.ClientKey()
	hostHash := table.Secret.HashHost(&host)
	flowHash := table.Secret.HashFlow(hostHash, &key)

	shard := table.Shard(table.ShardOf(hostHash))
	shard.Lock()
	defer shard.Unlock()
	for range 3 {
		ref := shard.Flows.Find(flowHash, &key)
		if ref == 0 {
			ref = shard.Flows.Add(flowHash, &key)
		}
		shard.Flows.At(ref).packets++
	}
	ref := shard.Flows.Find(flowHash, &key)
	fmt.Println("flows:", shard.Flows.Len(), "packets:", shard.Flows.At(ref).packets)
	// Output: flows: 1 packets: 3
}

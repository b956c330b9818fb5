// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// These numbers stand here and in another package, or in the programs in the kernel. Each line
// fails to compile when its two sides differ (a constant index is out of range).
var (
	_ = [1]struct{}{}[policy.MaxPorts-fastpath.MaxPorts]
	_ = [1]struct{}{}[len([2]tally{})-fastpath.MaxPorts] // tallies are kept for both ports
	_ = [1]struct{}{}[policy.MaxTaps-fastpath.MaxTaps]
	_ = [1]struct{}{}[MaxQueues-fastpath.MaxQueues]

	// The dice of both sides are the same.
	_ = [1]struct{}{}[policy.FaultOutage-fastpath.FaultOutage]
	_ = [1]struct{}{}[policy.FaultBurst-fastpath.FaultBurst]
	_ = [1]struct{}{}[policy.FaultDrop-fastpath.FaultDrop]
	_ = [1]struct{}{}[policy.FaultLength-fastpath.FaultLength]
	_ = [1]struct{}{}[policy.FaultBitflip-fastpath.FaultBitflip]
	_ = [1]struct{}{}[policy.FaultDup-fastpath.FaultDup]
	_ = [1]struct{}{}[policy.Certain-fastpath.Certain]
	_ = [1]struct{}{}[faultBits-fastpath.DrawNumberAt]
	_ = [1]struct{}{}[frameAt-1-fastpath.DrawCopyAt]
	_ = [1]struct{}{}[frameAt-fastpath.DrawFrameAt]
	_ = [1]struct{}{}[drawAgain-fastpath.DrawAgain]

	// The tables of both sides are added up by their keys.
	_ = [1]struct{}{}[ways-fastpath.Ways]
	_ = [1]struct{}{}[macPlaces-fastpath.MACPlaces]
	_ = [1]struct{}{}[typePlaces-fastpath.TypePlaces]
	_ = [1]struct{}{}[vlanPlaces-fastpath.VLANPlaces]
	_ = [1]struct{}{}[protected-fastpath.Header]
	_ = [1]struct{}{}[maxTags-fastpath.MaxTags]
	_ = [1]struct{}{}[maxLength-fastpath.MaxLength]
	_ = [1]struct{}{}[vlanMask-fastpath.VLANMask]

	// Each thread writes a life, and the programs read it.
	_ = [1]struct{}{}[xsk.LifeSize-fastpath.LifeSize]
	_ = [1]struct{}{}[xsk.LifeBeat-fastpath.LifeBeat]
	_ = [1]struct{}{}[xsk.LifeAsleep-fastpath.LifeAsleep]
	_ = [1]struct{}{}[xsk.LifeThread-fastpath.LifeThread]
)

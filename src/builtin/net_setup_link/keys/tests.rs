//! Owns the tests of the keys: what each takes, refuses and takes back.

use super::*;

fn wanted(lines: &str) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    for line in lines.lines() {
        let (key, value) = line.split_once('=').unwrap();
        assign(&mut wanted, key.as_bytes(), value.as_bytes())?;
    }
    Ok(wanted)
}

/// Every key of `[Link]` and `[SR-IOV]` of version 257, with a value that it takes.
const EVERY_KEY: &str = "Description=x\nProperty=A=1\nImportProperty=A\nUnsetProperty=B\nAlias=x\n\
    MACAddressPolicy=persistent\nMACAddress=02:00:00:00:00:01\nNamePolicy=keep kernel database onboard slot path mac\n\
    Name=lan0\nAlternativeNamesPolicy=database onboard slot path mac\nAlternativeName=long-name\nTransmitQueues=4\n\
    ReceiveQueues=4\nTransmitQueueLength=100\nMTUBytes=9K\nBitsPerSecond=1G\nDuplex=full\nAutoNegotiation=no\n\
    WakeOnLan=magic\nWakeOnLanPassword=01:02:03:04:05:06\nPort=mii\nAdvertise=1000baset-full\n\
    ReceiveChecksumOffload=no\nTransmitChecksumOffload=no\nTCPSegmentationOffload=no\nTCP6SegmentationOffload=no\n\
    GenericSegmentationOffload=no\nGenericReceiveOffload=no\nGenericReceiveOffloadHardware=no\n\
    LargeReceiveOffload=no\nReceivePacketSteeringCPUMask=0-1\nReceiveVLANCTAGHardwareAcceleration=no\n\
    TransmitVLANCTAGHardwareAcceleration=no\nReceiveVLANCTAGFilter=no\nTransmitVLANSTAGHardwareAcceleration=no\n\
    NTupleFilter=no\nRxChannels=1\nTxChannels=1\nOtherChannels=1\nCombinedChannels=max\nRxBufferSize=1\n\
    RxMiniBufferSize=1\nRxJumboBufferSize=1\nTxBufferSize=max\nRxFlowControl=yes\nTxFlowControl=yes\n\
    AutoNegotiationFlowControl=yes\nGenericSegmentOffloadMaxBytes=64K\nGenericSegmentOffloadMaxSegments=10\n\
    UseAdaptiveRxCoalesce=yes\nUseAdaptiveTxCoalesce=yes\nRxCoalesceSec=1ms\nRxCoalesceIrqSec=1ms\n\
    RxCoalesceLowSec=1ms\nRxCoalesceHighSec=1ms\nTxCoalesceSec=1ms\nTxCoalesceIrqSec=1ms\nTxCoalesceLowSec=1ms\n\
    TxCoalesceHighSec=1ms\nRxMaxCoalescedFrames=1\nRxMaxCoalescedIrqFrames=1\nRxMaxCoalescedLowFrames=1\n\
    RxMaxCoalescedHighFrames=1\nTxMaxCoalescedFrames=1\nTxMaxCoalescedIrqFrames=1\nTxMaxCoalescedLowFrames=1\n\
    TxMaxCoalescedHighFrames=1\nCoalescePacketRateLow=1\nCoalescePacketRateHigh=1\n\
    CoalescePacketRateSampleIntervalSec=1500ms\nStatisticsBlockCoalesceSec=1s\nMDI=auto\nSR-IOVVirtualFunctions=2\n";

#[test]
fn every_key_is_taken_and_taken_back() {
    let all = wanted(EVERY_KEY).unwrap();
    assert_eq!((all.coalesce.len(), all.offloads.len(), all.mtu), (22, 13, Some(9216)));
    assert!(all.coalesce.contains(&(21, 2)) && all.coalesce.contains(&(8, 1_000_000)));
    let taken_back: String =
        EVERY_KEY.lines().map(|line| format!("{}=\n", line.split_once('=').unwrap().0)).collect();
    assert_eq!(wanted(&format!("{EVERY_KEY}{taken_back}")).unwrap(), Wanted::default());
}

#[test]
fn values_that_are_none() {
    for line in [
        "MACAddressPolicy=sometimes",
        "MACAddress=x",
        "NamePolicy=keep sometimes",
        "Name=a b",
        "AlternativeNamesPolicy=keep",
        "AlternativeName=a/b",
        "TransmitQueues=0",
        "ReceiveQueues=4097",
        "TransmitQueueLength=4294967295",
        "MTUBytes=1.5x",
        "BitsPerSecond=0",
        "Duplex=both",
        "AutoNegotiation=perhaps",
        "WakeOnLan=magic never",
        "WakeOnLanPassword=secret",
        "Port=usb",
        "Advertise=1baset",
        "ReceivePacketSteeringCPUMask=3-1",
        "RxChannels=0",
        "GenericSegmentOffloadMaxBytes=65537",
        "GenericSegmentOffloadMaxSegments=65536",
        "RxCoalesceSec=soon",
        "StatisticsBlockCoalesceSec=0",
        "MDI=round",
        "Property=A",
        "Alias=ä",
    ] {
        assert!(wanted(line).is_err_and(|error| error != UNKNOWN), "{line}");
    }
    assert_eq!(wanted("Colour=red"), Err(UNKNOWN.into()));
}

#[test]
fn some_of_them_in_full() {
    let shown = wanted(
        "WakeOnLan=phy magic\nWakeOnLan=arp\nReceivePacketSteeringCPUMask=0-2,5 7\n\
         ReceivePacketSteeringCPUMask=6\nBitsPerSecond=2500M\nAdvertise=10baset-half 1000baset-full\n\
         TCPSegmentationOffload=yes\nTCPSegmentationOffload=no\n",
    )
    .unwrap();
    assert_eq!(shown.wake, Some(0b11_0001));
    assert_eq!(shown.processors, Some(Processors::These(vec![0, 1, 2, 5, 6, 7])));
    assert_eq!((shown.mode.speed, shown.mode.advertised), (Some(2500), vec![0, 5]));
    assert_eq!(shown.offloads, [("tx-tcp-segmentation", false)]);
    assert_eq!(wanted("WakeOnLan=magic\nWakeOnLan=off").unwrap().wake, Some(0));
}

#[test]
fn virtual_functions() {
    let mut function = VirtualFunction::default();
    for (key, value) in [
        ("VirtualFunction", "3"),
        ("VLANId", "5"),
        ("QualityOfService", "2"),
        ("VLANProtocol", "802.1ad"),
        ("MACSpoofCheck", "yes"),
        ("QueryReceiveSideScaling", "no"),
        ("Trust", "yes"),
        ("LinkState", "no"),
        ("MACAddress", "02:00:00:00:00:01"),
    ] {
        assert_eq!(assign_function(&mut function, key.as_bytes(), value.as_bytes()), Ok(()), "{key}");
    }
    let expected = VirtualFunction {
        number: 3,
        vlan: Some(5),
        quality: Some(2),
        protocol: Some(0x88a8),
        spoof_check: Some(true),
        query_spread: Some(false),
        trust: Some(true),
        link_state: Some(2),
        address: Some(vec![2, 0, 0, 0, 0, 1]),
    };
    assert_eq!(function, expected);
    assert!(assign_function(&mut function, b"VLANId", b"4096").is_err());
    assert_eq!(assign_function(&mut function, b"Colour", b"red"), Err(UNKNOWN.into()));
}

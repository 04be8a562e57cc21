//! Owns the tests of the keys: what each takes, refuses and takes back.

use super::*;
use crate::builtin::interface::{Count, Processors, VirtualFunction};

fn wanted(lines: &str) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    for line in lines.lines() {
        let (key, value) = line.split_once('=').unwrap();
        assign(&mut wanted, key.as_bytes(), value.as_bytes())
            .ok_or("unknown")?
            .map_err(|wrong| wrong.message)?;
    }
    Ok(wanted)
}

/// Every key of `[Link]` of version 257, and two of 258, with a value that it takes.
const EVERY_KEY: &str = "Description=x\nAlias=x\n\
    MACAddressPolicy=persistent\nMACAddress=02:00:00:00:00:01\nNamePolicy=keep kernel database onboard slot path mac\n\
    Name=lan0\nAlternativeNamesPolicy=database onboard slot path mac\nAlternativeName=long-name\nTransmitQueues=4\n\
    ReceiveQueues=4\nTransmitQueueLength=100\nMTUBytes=9K\nBitsPerSecond=1G\nDuplex=full\nAutoNegotiation=no\n\
    WakeOnLan=magic\nWakeOnLanPassword=01:02:03:04:05:06\nPort=mii\nAdvertise=1000baset-full\n\
    ReceiveChecksumOffload=no\nTransmitChecksumOffload=no\nTCPSegmentationOffload=no\nTCP6SegmentationOffload=no\n\
    GenericSegmentationOffload=no\nGenericReceiveOffload=no\nGenericReceiveOffloadHardware=no\n\
    LargeReceiveOffload=no\nReceivePacketSteeringCPUMask=0-1\nReceiveVLANCTAGHardwareAcceleration=no\n\
    TransmitVLANCTAGHardwareAcceleration=no\nReceiveVLANCTAGFilter=no\nTransmitVLANSTAGHardwareAcceleration=no\n\
    NTupleFilter=no\nReceiveFCS=no\nReceiveAll=no\nRxChannels=1\nTxChannels=1\nOtherChannels=1\nCombinedChannels=max\nRxBufferSize=1\n\
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
    assert_eq!((all.coalesce.len(), all.offloads.len(), all.mtu), (22, 15, Some(9216)));
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
        "BitsPerSecond=fast",
        "Duplex=Full",
        "WakeOnLan=magic off",
        "Duplex=both",
        "AutoNegotiation=perhaps",
        "WakeOnLan=magic never",
        "WakeOnLanPassword=secret",
        "Port=usb",
        "Advertise=1baset",
        "ReceivePacketSteeringCPUMask=3-1",
        "RxChannels=0",
        "GenericSegmentOffloadMaxBytes=4G",
        "GenericSegmentOffloadMaxSegments=4294967296",
        "RxCoalesceSec=soon",
        "StatisticsBlockCoalesceSec=0",
        "MDI=round",
        "Alias=ä",
    ] {
        assert!(wanted(line).is_err_and(|error| error != "unknown"), "{line}");
    }
    assert_eq!(wanted("Colour=red"), Err("unknown".into()));
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

/// As systemd 257 takes them: a bad value, or a bad word of a list, costs itself alone.
#[test]
fn what_was_said_before_stays() {
    let mut all = Wanted::default();
    let lines = "TCPSegmentationOffload=no\nTCPSegmentationOffload=x\nRxCoalesceSec=1ms\nRxCoalesceSec=x\nRxChannels=max\n\
        RxChannels=0\nMTUBytes=1K1\nMTUBytes=1k\nBitsPerSecond=1G\nBitsPerSecond=x\nReceivePacketSteeringCPUMask=1\n\
        ReceivePacketSteeringCPUMask=0 x\nWakeOnLan=never phy\nWakeOnLan=Magic arp off\nAdvertise=tp x \"bnc\" fibre\n\
        AlternativeName=a 1 b\nTransmitQueues=0x10\nTransmitQueues=08\nGenericSegmentOffloadMaxSegments=0";
    for line in lines.lines() {
        let (key, value) = line.split_once('=').unwrap();
        let _said = assign(&mut all, key.trim().as_bytes(), value.as_bytes()).unwrap();
    }
    assert_eq!((all.offloads, all.coalesce), (vec![("tx-tcp-segmentation", false)], vec![(0, 1000)]));
    assert_eq!((all.channels[0], all.mtu, all.mode.speed), (Some(Count::Max), Some(1025), Some(1000)));
    assert_eq!((all.processors, all.wake), (Some(Processors::These(vec![1])), Some(0b1_0001)));
    assert_eq!((all.mode.advertised, all.transmit_queues), (vec![7, 10], Some(16)));
    assert_eq!((all.alternative_names, all.segments_max), (vec!["a".into(), "b".into()], None));
    let said = |line: &str| {
        let (key, value) = line.split_once('=').unwrap();
        assign(&mut Wanted::default(), key.as_bytes(), value.as_bytes()).unwrap().unwrap_err()
    };
    let hint = |line| said(line).hint.unwrap();
    assert_eq!(hint("Duplex=Full"), "write `full`");
    assert_eq!(hint("Port=usb"), "write one of tp, aui, mii, fibre, bnc");
    assert_eq!(said("NamePolicy=x path y").message, "`x` is none of its words; `y` is none of its words");
}

#[test]
fn virtual_functions() {
    let mut function = Function::default();
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
        assert_eq!(assign_function(&mut function, key.as_bytes(), value.as_bytes()), Some(Ok(())), "{key}");
    }
    let expected = VirtualFunction {
        number: 0,
        vlan: Some(5),
        quality: Some(2),
        protocol: Some(0x88a8),
        spoof_check: Some(true),
        query_spread: Some(false),
        trust: Some(true),
        link_state: Some(2),
        address: Some(vec![2, 0, 0, 0, 0, 1]),
    };
    assert_eq!(function, Function { number: Some(3), wanted: expected });
    for (key, value) in
        [("VLANId", "4096"), ("VLANId", "0"), ("MACAddress", "1.2.3.4"), ("VLANProtocol", "802.1q")]
    {
        let taken = assign_function(&mut function, key.as_bytes(), value.as_bytes());
        assert!(taken.unwrap().is_err(), "{key}={value}");
    }
    assert_eq!(assign_function(&mut function, b"Colour", b"red"), None);
}

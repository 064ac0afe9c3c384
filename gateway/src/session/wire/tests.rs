//! Frames as a client writes them, cut at every place.

use proscenium_engine::testing::memory_account;

use super::*;
use crate::tuning;

const MASK: [u8; 4] = [0x12, 0xff, 0x00, 0x7a];

/// A masked frame as a client writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// All messages of `bytes`, received in pieces of `size`.
fn received(bytes: &[u8], size: usize, limit_bytes: usize) -> Vec<Result<Message, String>> {
    let mut wire = Wire::new(limit_bytes, MemoryAccount::unlimited());
    let mut messages = Vec::new();
    for piece in bytes.chunks(size) {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match wire.take(&mut piece) {
                Ok(None) => break,
                Ok(Some(message)) => messages.push(Ok(message)),
                Err(error) => messages.push(Err(error.to_string())),
            }
        }
    }
    messages
}

#[test]
fn frames_are_the_same_however_they_arrive() {
    let long: Vec<u8> = (0..70_000_u32).map(|number| number as u8).collect();
    let mut bytes = frame(0x82, b"");
    bytes.extend(frame(0x82, b"abc"));
    bytes.extend(frame(0x89, b"ping"));
    bytes.extend(frame(0x02, &long[..300]));
    bytes.extend(frame(0x8a, b"pong"));
    bytes.extend(frame(0x00, b"middle"));
    bytes.extend(frame(0x80, b"end"));
    bytes.extend(frame(0x82, &long));
    bytes.extend(frame(0x88, &[3, 232]));
    let expected = [
        Message::Binary(Bytes::new()),
        Message::Binary("abc".into()),
        Message::Ping("ping".into()),
        Message::Fragment(Fragment::First(long[..300].to_vec().into())),
        Message::Pong("pong".into()),
        Message::Fragment(Fragment::Next("middle".into())),
        Message::Fragment(Fragment::Last("end".into())),
        Message::Binary(long.clone().into()),
        Message::Close(Some(1000)),
    ];
    let expected: Vec<Result<Message, String>> = expected.into_iter().map(Ok).collect();
    for size in [1, 2, 3, 7, 8, 1000, usize::MAX] {
        assert_eq!(received(&bytes, size, 70_000), expected, "in pieces of {size}");
    }
}

#[test]
fn protocol_violations_are_errors() {
    let error = |bytes: &[u8]| received(bytes, 1, 100).remove(0).unwrap_err();
    assert!(error(&[0x82, 0x01, b'a']).contains("not masked"));
    assert!(error(&frame(0x83, b"")).contains("unknown opcode"));
    assert!(error(&frame(0x80, b"x")).contains("continues no message"));
    assert!(error(&frame(0x89, &[0; 126])).contains("longer than 125"));
    assert!(error(&frame(0x09, b"")).contains("control frame is fragmented"));
    assert!(error(&frame(0x81, b"text")).contains("text messages"));
    assert!(error(&frame(0xc2, b"x")).contains("reserved bits"));
    let mut long_form = vec![0x82, 0x80 | 126, 0, 3];
    long_form.extend([0; 7]);
    assert!(error(&long_form).contains("shortest form"));
    let twice = [frame(0x02, b"a"), frame(0x82, b"b")].concat();
    let second = received(&twice, 1, 100).remove(1).unwrap_err();
    assert!(second.contains("within another"), "{second}");
}

#[test]
fn close_frames_have_a_valid_code_and_reason() {
    let close = |payload: &[u8]| received(&frame(0x88, payload), 3, 100).remove(0);
    let coded = |code: u16, reason: &[u8]| close(&[&code.to_be_bytes()[..], reason].concat());
    assert_eq!(close(b""), Ok(Message::Close(None)));
    assert_eq!(coded(4999, "fällt".as_bytes()), Ok(Message::Close(Some(4999))));
    assert!(close(&[3]).unwrap_err().contains("half a code"));
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        assert!(coded(code, b"").unwrap_err().contains("must not be sent"), "{code}");
    }
    assert!(coded(1000, &[0xff]).unwrap_err().contains("UTF-8"));
}

#[test]
fn a_frame_beyond_the_limit_is_known_by_its_header_and_skipped() {
    let header = &frame(0x82, &[0; 101])[..6];
    let overflow = || Err(WireError::TooLong { limit_bytes: 100 }.to_string());
    assert_eq!(received(header, 1, 100), [overflow()]);
    let bytes = [frame(0x82, &[0; 101]), frame(0x82, b"next")].concat();
    let expected = [overflow(), Ok(Message::Binary("next".into()))];
    for size in [1, 50, usize::MAX] {
        assert_eq!(received(&bytes, size, 100), expected);
    }
}

#[test]
fn no_memory_is_taken_for_an_announced_length() {
    let mut wire = Wire::new(256 << 20, MemoryAccount::unlimited());
    let mut bytes = vec![0x82, 0x80 | 127];
    bytes.extend((200_u64 << 20).to_be_bytes());
    bytes.extend(MASK);
    bytes.extend(b"abc");
    assert!(matches!(wire.take(&mut Bytes::from(bytes)), Ok(None)));
    let begun = wire.begun.expect("a frame has begun");
    assert!(begun.bytes.capacity() <= tuning::FIRST_FRAME_BYTES, "{}", begun.bytes.capacity());
}

#[test]
fn memory_of_frames_is_reserved_as_their_bytes_arrive_and_given_back_with_them() {
    const MIB: usize = 1 << 20;
    let server = memory_account(40 * MIB as u64);
    let reserved = || server.usage().unwrap().reserved_bytes;
    let session = server.session();
    let long = frame(0x82, &vec![7; 9 * MIB]);
    // Of a header nothing is reserved, whatever it announces.
    let mut half = Wire::new(64 * MIB, session.clone());
    assert_eq!(half.take(&mut Bytes::copy_from_slice(&long[..14])).unwrap(), None);
    assert_eq!(reserved(), 0);
    assert_eq!(half.take(&mut Bytes::copy_from_slice(&long[14..8 * MIB])).unwrap(), None);
    assert!(reserved() >= 8 * MIB as u64 - 14);
    // Of another connection of the same session: the message that does not fit is refused, the next one is read.
    let mut wire = Wire::new(64 * MIB, session.clone());
    let mut bytes = Bytes::from([frame(0x82, &vec![7; 11 * MIB]), frame(0x82, b"next")].concat());
    let refused = wire.take(&mut bytes).unwrap_err();
    assert!(matches!(&refused, WireError::Memory(_)), "{refused}");
    assert_eq!(refused.to_string(), "needs 11.0 MiB for the message; [memory] per_request allows 10.0 MiB");
    assert_eq!(wire.take(&mut bytes).unwrap(), Some(Message::Binary(Bytes::from_static(b"next"))));
    drop((half, wire));
    assert_eq!(reserved(), 0);
    let mut wire = Wire::new(64 * MIB, session);
    let Some(Message::Binary(message)) = wire.take(&mut long.into()).unwrap() else { panic!("a message") };
    let part = message.slice(..3);
    drop((wire, message));
    assert_eq!(reserved(), 9 * MIB as u64, "a part keeps the whole");
    drop(part);
    assert_eq!(reserved(), 0);
}

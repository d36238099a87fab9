//! Pickles as hostile hands write them. What real ones hold is compared with the real `PyTorch` elsewhere.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use quiver_tensor::pt::{self, Graph, Node};
use quiver_tensor::{Error, ErrorKind};

/// Instructions between the header of protocol 2 and STOP.
fn program(parts: &[&[u8]]) -> Vec<u8> {
    [&[0x80, 2], parts.concat().as_slice(), b"."].concat()
}

fn refused(bytes: &[u8]) -> Error {
    pt::parse(bytes).and_then(|graph| pt::encode(&graph)).unwrap_err()
}

fn text(value: &str) -> Vec<u8> {
    [b"X".as_slice(), &(value.len() as u32).to_le_bytes(), value.as_bytes()].concat()
}

fn root<'a>(graph: &'a Graph<'a>) -> &'a Node<'a> {
    &graph.nodes[graph.root as usize]
}

/// A tensor of `elements` float32 in its storage, with one size and one stride.
fn tensor(elements: i64, offset: i64, size: i64, stride: i64) -> Vec<u8> {
    let int = |value: i64| [&[0x8a, 8], value.to_le_bytes().as_slice()].concat();
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(elements),
        b"tQ".to_vec(),
        int(offset),
        int(size),
        b"\x85".to_vec(),
        int(stride),
        b"\x85\x89}tR".to_vec(),
    ]
    .concat()
}

#[test]
fn code_is_refused_by_name_and_nothing_runs() {
    let marker = std::env::temp_dir().join(format!("quiver-pt-{}", std::process::id()));
    let command = text(&format!("touch {}", marker.display()));
    for name in [
        "os\nsystem",
        "posix\nsystem",
        "builtins\neval",
        "torch\nload",
        "torch._utils\nos",
        "collections\ndefaultdict",
    ] {
        let call = [format!("c{name}\n").as_bytes(), &command, b"\x85R"].concat();
        let error = refused(&program(&[&call]));
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(&name.replace('\n', ".")), "{error}");
    }
    for (instruction, name) in [(b"\x93", "STACK_GLOBAL"), (b"i", "INST"), (b"o", "OBJ"), (b"\x82", "EXT1")] {
        let error = refused(&program(&[&text("os"), &text("system"), instruction.as_slice()]));
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains(name), "{error}");
    }
    assert!(!marker.exists());
}

#[test]
fn a_tensor_reaches_exactly_to_the_end_of_its_storage() {
    for (elements, offset, size, stride) in
        [(6, 0, 6, 1), (6, 5, 1, 100), (6, 1, 3, 2), (6, 5, 9, 0), (0, 9, 0, 1)]
    {
        let bytes = program(&[&tensor(elements, offset, size, stride)]);
        assert!(
            matches!(root(&pt::parse(&bytes).unwrap()), Node::Tensor(_)),
            "{elements} {offset} {size} {stride}"
        );
    }
    for (elements, offset, size, stride) in [
        (6, 0, 7, 1),
        (6, 6, 1, 1),
        (6, 2, 3, 2),
        (6, -1, 1, 1),
        (6, 0, 2, -1),
        (6, 0, -2, 1),
        (i64::MAX, 0, 1, 1),
        (6, i64::MAX, 2, i64::MAX),
        (6, 0, 1 << 60, 0),
    ] {
        let error = refused(&program(&[&tensor(elements, offset, size, stride)]));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{elements} {offset} {size} {stride}: {error}");
    }
    // What can be counted is a claim, to be compared with the member it names.
    let claim = program(&[&tensor(1 << 60, 0, 1, 1)]);
    assert_eq!(pt::parse(&claim).unwrap().storages[0].bytes, 1 << 62);
}

#[test]
fn one_name_means_one_storage() {
    let both = [tensor(6, 0, 6, 1), tensor(7, 0, 6, 1), b"\x86".to_vec()].concat();
    assert!(refused(&program(&[&both])).to_string().contains("two storages"));
}

#[test]
fn deep_nesting_costs_no_stack() {
    let deep = 1_000_000;
    let bytes = program(&[&b"]".repeat(deep), &b"a".repeat(deep - 1)]);
    let graph = pt::parse(&bytes).unwrap();
    assert_eq!(graph.nodes.len(), deep);
    assert!(pt::encode(&graph).unwrap().len() < 20 * deep);
    let tuples = program(&[b")", &b"\x85".repeat(deep)]);
    pt::encode(&pt::parse(&tuples).unwrap()).unwrap();
}

#[test]
fn billions_of_laughs_stay_as_small_as_the_file() {
    let mut laughs = b"]q\x00".to_vec();
    for level in 1..200_u8 {
        laughs.extend([b"]q", [level].as_slice(), b"(", &[b'h', level - 1].repeat(10), b"e"].concat());
    }
    let bytes = program(&[b"(", &laughs, b"t"]);
    let graph = pt::parse(&bytes).unwrap();
    assert!(pt::encode(&graph).unwrap().len() < 8 * bytes.len());
}

#[test]
fn calls_that_copy_without_end_are_stopped() {
    let list = [b"](".as_slice(), &b"K\x01".repeat(10_000), b"e\x85q\x02"].concat();
    let sets = [b"c__builtin__\nset\nq\x03h\x02R".as_slice(), &b"h\x03h\x02R".repeat(10_000)].concat();
    let error = refused(&program(&[b"(", &list, &sets, b"t"]));
    assert!(error.to_string().contains("copies"), "{error}");
    let encode = [text(&"a".repeat(100_000)), text("latin1"), b"\x86q\x01".to_vec()].concat();
    let calls = [b"c_codecs\nencode\nq\x00h\x01R".as_slice(), &b"h\x00h\x01R".repeat(50_000)].concat();
    let bytes = program(&[b"(", &encode, &calls, b"t"]);
    assert!(pt::encode(&pt::parse(&bytes).unwrap()).unwrap().len() < 3 * bytes.len());
}

#[test]
fn arguments_are_no_values() {
    for kept in [b"ctorch\nFloatStorage\n".as_slice(), b"ctorch._utils\n_rebuild_tensor_v2\n"] {
        assert_eq!(refused(&program(&[kept])).kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn cycles_are_kept() {
    let bytes = program(&[b"]q\x00h\x00a"]);
    let graph = pt::parse(&bytes).unwrap();
    assert_eq!(root(&graph), &Node::List(vec![graph.root]));
    assert_eq!(pt::encode(&graph).unwrap(), [1, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_pickle_cut_short_is_corrupt_at_every_length() {
    let whole = program(&[&tensor(6, 0, 6, 1)]);
    for length in 0..whole.len() {
        assert_eq!(refused(&whole[..length]).kind(), ErrorKind::Corrupt, "{length}");
    }
}

/// What pickles are made of, so that drawn programs get further than their first byte.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(b"N]})(te.aubRQ\x81\x85\x86\x87\x88\x89\x8fsq".to_vec())
            .prop_map(|byte| vec![byte]),
        (prop::sample::select(b"qhK".to_vec()), 0_u8..6).prop_map(|(opcode, byte)| vec![opcode, byte]),
        prop::sample::select(vec![
            "ccollections\nOrderedDict\n",
            "ctorch\nFloatStorage\n",
            "ctorch\nSize\n",
            "ctorch._utils\n_rebuild_tensor_v2\n",
            "ctorch._utils\n_rebuild_parameter\n",
            "ctorch._tensor\n_rebuild_from_type_v2\n",
            "c_codecs\nencode\n",
            "c__builtin__\nset\n",
        ])
        .prop_map(|name| name.as_bytes().to_vec()),
        prop::sample::select(vec!["storage", "cpu", "0", "latin1", "conj"]).prop_map(text),
        (0_i64..9, 0_i64..4, 0_i64..9, 0_i64..3).prop_map(|(a, b, c, d)| tensor(a, b, c, d)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn drawn_programs_never_panic(parts in prop::collection::vec(pieces(), 0..40)) {
        let bytes = program(&[&parts.concat()]);
        if let Ok(graph) = pt::parse(&bytes) {
            prop_assert!(graph.nodes.len() <= 2 * bytes.len());
            if let Ok(encoded) = pt::encode(&graph) {
                prop_assert!(encoded.len() <= 64 * bytes.len());
            }
        }
    }

    #[test]
    fn changed_programs_never_panic(at: usize, value: u8, cut in 0_usize..40) {
        let mut bytes = program(&[&[tensor(6, 0, 6, 1), tensor(6, 1, 2, 2), b"\x86".to_vec()].concat()]);
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(bytes.len() - cut);
        if let Ok(graph) = pt::parse(&bytes) {
            let _ = pt::encode(&graph);
        }
    }

    #[test]
    fn arbitrary_legacy_files_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = pt::parse(&bytes);
        let _ = pt::open(&bytes);
        let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
        let _ = pt::parse_legacy(&[magic.as_slice(), &bytes].concat());
    }
}

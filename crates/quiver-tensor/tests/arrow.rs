//! Arrow files: written here and read by arrow-rs, written by arrow-rs and read here, and damaged ones.
#![allow(clippy::unwrap_used, missing_docs, clippy::from_iter_instead_of_collect)]

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Int32Builder, LargeListBuilder, ListBuilder, StringBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int16Type};
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float16Array, Int64Array, LargeStringArray, ListArray,
    NullArray, RecordBatch, StringArray, StructArray,
};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use proptest::prelude::*;
use quiver_tensor::NewTensor;
use quiver_tensor::arrow::features::{Rows, features, features_of, tensor_field, with_features};
use quiver_tensor::arrow::tensors::{self, FileLayout, file_layout};
use quiver_tensor::arrow::values::{Opaque, Values, values};
use quiver_tensor::arrow::{ALIGNMENT, Growing, Schema, Stream, expand, extent, read, write};
use quiver_tensor::{DType, ErrorKind};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn stream(batches: &[RecordBatch], alignment: usize) -> Vec<u8> {
    let options = IpcWriteOptions::try_new(alignment, false, arrow_ipc::MetadataVersion::V5).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// One column of every kind that is read.
fn zoo(rows: usize) -> RecordBatch {
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        (0..rows).map(|i| (i % 5 != 3).then(|| (0..3).map(move |j| Some((i * 3 + j) as f32)))),
        3,
    );
    let equal = ListArray::from_iter_primitive::<Int16Type, _, _>(
        (0..rows).map(|i| Some((0..2).map(move |j| Some((i + j) as i16)))),
    );
    let ragged = ListArray::from_iter_primitive::<Float32Type, _, _>(
        (0..rows).map(|i| (i % 4 != 2).then(|| (0..i % 3).map(move |j| Some((i + j) as f32)))),
    );
    let mut chunks = ListBuilder::new(ListBuilder::new(Float32Builder::new()));
    let mut flags = LargeListBuilder::new(BooleanBuilder::new());
    for i in 0..rows {
        for j in 0..i % 4 {
            chunks.values().append_value([Some(i as f32), Some(j as f32)]);
            flags.values().append_value((i + j) % 2 == 0);
        }
        chunks.append(true);
        flags.append(true);
    }
    let texts = StringArray::from_iter((0..rows).map(|i| (i % 7 != 6).then(|| "é".repeat(i % 4))));
    let large = LargeStringArray::from_iter_values((0..rows).map(|i| i.to_string()));
    let parts = StructArray::from(vec![
        (
            Arc::new(arrow_schema::Field::new("label", arrow_schema::DataType::Int64, true)),
            Arc::new(Int64Array::from_iter((0..rows as i64).map(|i| (i % 3 != 1).then_some(i)))) as ArrayRef,
        ),
        (
            Arc::new(arrow_schema::Field::new("text", arrow_schema::DataType::Utf8, true)),
            Arc::new(texts.clone()) as ArrayRef,
        ),
    ]);
    batch(vec![
        ("vectors", Arc::new(vectors)),
        ("equal", Arc::new(equal)),
        ("ragged", Arc::new(ragged)),
        ("chunks", Arc::new(chunks.finish())),
        ("flags", Arc::new(flags.finish())),
        ("text", Arc::new(texts)),
        ("large", Arc::new(large)),
        ("parts", Arc::new(parts)),
        ("nothing", Arc::new(NullArray::new(rows))),
        ("bits", Arc::new(BooleanArray::from_iter((0..rows).map(|i| (i % 5 != 0).then_some(i % 2 == 0))))),
        ("half", Arc::new(Float16Array::from_iter_values((0..rows).map(|i| half::f16::from_f32(i as f32))))),
    ])
}

/// What has grown, as a whole stream.
fn framed(schema: &Schema, growing: &Growing, mut buffers: Vec<Vec<u8>>) -> Vec<u8> {
    growing.finish(schema, &mut buffers).unwrap();
    let mut out = write::schema_message(schema, 0).unwrap();
    let lengths: Vec<u64> = buffers.iter().map(|buffer| buffer.len() as u64).collect();
    let message =
        write::batch_message(growing.rows(), &growing.nodes(), &lengths, 0, out.len() as u64).unwrap();
    out.extend(&message.head);
    assert_eq!(out.len() % ALIGNMENT, 0);
    let start = out.len() as u64;
    for buffer in &buffers {
        out.extend(buffer);
        out.extend(write::padding(buffer.len() as u64));
    }
    assert_eq!(out.len() as u64, start + message.body);
    out.extend(write::END);
    out
}

/// Rows of streams, appended piece by piece to one batch.
fn regrown(bytes: &[u8], step: usize) -> Vec<u8> {
    let Stream { schema, batches } = read(bytes).unwrap();
    let mut growing = Growing::new(&schema).unwrap();
    let mut buffers = vec![Vec::new(); growing.buffers()];
    for batch in &batches {
        for start in (0..batch.rows).step_by(step) {
            let rows = start..batch.rows.min(start + step);
            // What is kept between two steps can go through a journal.
            growing = Growing::resume(&schema, &growing.state()).unwrap();
            growing.append(&schema, &batch.pieces(bytes, start), rows.len(), &mut buffers).unwrap();
        }
    }
    framed(&schema, &growing, buffers)
}

fn read_back(bytes: Vec<u8>) -> Vec<RecordBatch> {
    StreamReader::try_new(Cursor::new(bytes), None).unwrap().map(Result::unwrap).collect()
}

fn concatenated(batches: &[RecordBatch]) -> Vec<String> {
    batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1).columns())))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rows_of_any_type_are_appended_as_they_are(
        counts in prop::collection::vec(1_usize..20, 1..4), step in 1_usize..9, wide: bool,
    ) {
        let batches: Vec<RecordBatch> = counts.iter().map(|&count| zoo(count)).collect();
        let foreign = stream(&batches, if wide { 64 } else { 8 });
        let whole = regrown(&foreign, step);
        prop_assert_eq!(concatenated(&read_back(whole.clone())), concatenated(&batches));
        // However the rows arrive, the bytes are the same.
        prop_assert_eq!(regrown(&foreign, 1_000), whole);
    }

    #[test]
    fn damaged_bytes_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(),
        truncate: bool, as_file: bool,
    ) {
        let mut bytes = if as_file { file(&[zoo(9)]) } else { stream(&[zoo(9), zoo(4)], 8) };
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        use_all(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
        let bytes = if magic { [b"ARROW1\0\0".as_slice(), &bytes, b"ARROW1"].concat() } else { bytes };
        use_all(&bytes);
    }
}

/// Everything that can be done with bytes that may be anything.
fn use_all(bytes: &[u8]) {
    let Ok(Stream { schema, batches }) = read(bytes) else { return };
    for batch in &batches {
        let mut growing = Growing::new(&schema).unwrap();
        let mut buffers = vec![Vec::new(); growing.buffers()];
        if batch.rows < 1 << 20 {
            let _ = growing.append(&schema, &batch.pieces(bytes, 0), batch.rows, &mut buffers);
        }
        for (field, array) in schema.fields().iter().zip(&batch.columns) {
            let _ = extent(field.data_type(), array, bytes, 0);
            if let Ok(Values::Dense { leaves, .. } | Values::Ragged { leaves, .. }) =
                values(field, array, bytes)
            {
                assert!(leaves.data.end <= bytes.len() && leaves.data.start <= leaves.data.end);
            }
        }
    }
}

#[test]
fn values_lie_where_they_are_said_to() {
    let bytes = stream(&[zoo(8)], 8);
    for bytes in [bytes, file(&[zoo(8)])] {
        let Stream { schema, batches } = read(&bytes).unwrap();
        let column = |name: &str| {
            let (index, field) = schema.column_with_name(name).unwrap();
            values(field, &batches[0].columns[index], &bytes).unwrap()
        };
        let floats = |range: std::ops::Range<usize>| -> Vec<f32> {
            bytes[range].chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
        };
        let Values::Dense { row, leaves } = column("vectors") else { panic!() };
        assert_eq!((row, leaves.count, leaves.dtype), (vec![3], 24, DType::Float32));
        assert_eq!(floats(leaves.data)[..3], [0.0, 1.0, 2.0]);
        let Values::Dense { row, leaves } = column("equal") else { panic!() };
        assert_eq!((row, leaves.data.len()), (vec![2], 32));
        let Values::Ragged { inner, leaves, .. } = column("ragged") else { panic!() };
        // Rows 2 and 6 are null, row 1 has one item, 4 one, 5 two, 7 one.
        assert_eq!((inner, floats(leaves.data)), (vec![], vec![1.0, 4.0, 5.0, 6.0, 7.0]));
        let Values::Ragged { inner, leaves, .. } = column("chunks") else { panic!() };
        assert_eq!((inner, leaves.count), (vec![2], 2 * (1 + 2 + 3 + 1 + 2 + 3)));
        let Values::Ragged { leaves, .. } = column("flags") else { panic!() };
        let mut expanded = vec![0; 3];
        expand(&bytes[leaves.data], leaves.first_bit, &mut expanded).unwrap();
        assert_eq!(expanded, [0, 1, 0]);
        assert!(matches!(column("text"), Values::Text { .. }));
        assert_eq!(column("parts"), Values::Opaque(Opaque::NoNumbers));
        assert_eq!(column("nothing"), Values::Opaque(Opaque::NoNumbers));
    }
}

#[test]
fn nulls_and_uneven_lists_inside_rows_are_told() {
    let mut uneven = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    uneven.values().append_value([Some(1)]);
    uneven.values().append_value([Some(1), Some(2)]);
    uneven.append(true);
    let inside = ListArray::from_iter_primitive::<Int16Type, _, _>([Some([Some(1), None])]);
    let bytes =
        stream(&[batch(vec![("uneven", Arc::new(uneven.finish())), ("inside", Arc::new(inside))])], 8);
    let Stream { schema, batches } = read(&bytes).unwrap();
    let found: Vec<Values> = schema
        .fields()
        .iter()
        .zip(&batches[0].columns)
        .map(|(field, array)| values(field, array, &bytes).unwrap())
        .collect();
    assert_eq!(found, [Values::Opaque(Opaque::Jagged), Values::Opaque(Opaque::NullsInside)]);
}

#[test]
fn a_slice_of_an_array_starts_in_the_middle_of_its_buffers() {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for i in 0..9 {
        builder.append_value((0..i).map(|j| Some(format!("{i}{j}"))));
    }
    let whole = batch(vec![("lists", Arc::new(builder.finish()))]);
    let bytes = stream(&[whole.slice(3, 4)], 64);
    assert_eq!(concatenated(&read_back(regrown(&bytes, 3))), concatenated(&[whole.slice(3, 4)]));
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a"]));
    let keys: arrow_array::DictionaryArray<arrow_array::types::Int32Type> =
        vec!["a", "b", "a"].into_iter().collect();
    let views: ArrayRef = Arc::new(arrow_array::StringViewArray::from(vec!["a"]));
    for (columns, word) in [(("d", Arc::new(keys) as ArrayRef), "dictionary"), (("v", views), "Utf8View")] {
        let bytes = stream(&[batch(vec![columns])], 8);
        let error = read(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(word), "{error}");
    }
    let twice = RecordBatch::try_new(
        Arc::new(Schema::new(vec![
            arrow_schema::Field::new("a", text.data_type().clone(), true),
            arrow_schema::Field::new("a", text.data_type().clone(), true),
        ])),
        vec![text.clone(), text],
    );
    assert!(read(&stream(&[twice.unwrap()], 8)).unwrap_err().to_string().contains("column: a"));
}

#[test]
fn every_cut_is_noticed_or_ends_at_a_message() {
    let bytes = stream(&[zoo(5), zoo(3)], 64);
    for length in 0..bytes.len() {
        match read(&bytes[..length]) {
            Ok(found) => assert!([0, 5, 8].contains(&found.rows()), "{length}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}: {error}"),
        }
    }
    let whole = file(&[zoo(5)]);
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn columns_of_tensors_are_declared_as_datasets_declares_them() {
    let fields = vec![
        tensor_field("id", DType::Int64, &Rows::Fixed(vec![])).unwrap(),
        tensor_field("vector", DType::Float32, &Rows::Fixed(vec![384])).unwrap(),
        tensor_field("image", DType::Uint8, &Rows::Fixed(vec![4, 5, 3])).unwrap(),
        tensor_field("chunks", DType::Float32, &Rows::Ragged(vec![8])).unwrap(),
    ];
    let schema = Schema::new(fields);
    let found = features(&schema, &serde_json::Map::new()).unwrap();
    let expected = serde_json::json!({
        "id": { "dtype": "int64", "_type": "Value" },
        "vector": { "feature": { "dtype": "float32", "_type": "Value" }, "length": 384, "_type": "Sequence" },
        "image": { "shape": [4, 5, 3], "dtype": "uint8", "_type": "Array3D" },
        "chunks": {
            "feature": { "feature": { "dtype": "float32", "_type": "Value" }, "_type": "Sequence" },
            "_type": "Sequence"
        },
    });
    assert_eq!(serde_json::Value::Object(found.clone()), expected);
    let schema = with_features(schema, Some(&found));
    assert_eq!(features_of(&schema), Some(found));
    let read_back =
        read(&[write::schema_message(&schema, 0).unwrap(), write::END.to_vec()].concat()).unwrap();
    assert_eq!(read_back.schema, schema);
    let error = tensor_field("x", DType::Bfloat16, &Rows::Fixed(vec![1])).unwrap_err();
    assert!(error.to_string().contains("bfloat16"));
}

#[test]
fn the_file_format_is_a_stream_between_marks() {
    let bytes = stream(&[zoo(4)], 64);
    let Stream { schema, batches } = read(&bytes).unwrap();
    let mut growing = Growing::new(&schema).unwrap();
    let mut buffers = vec![Vec::new(); growing.buffers()];
    growing.append(&schema, &batches[0].pieces(&bytes, 0), 4, &mut buffers).unwrap();
    growing.finish(&schema, &mut buffers).unwrap();
    let mut out = write::FILE_START.to_vec();
    out.extend(write::schema_message(&schema, 8).unwrap());
    let lengths: Vec<u64> = buffers.iter().map(|buffer| buffer.len() as u64).collect();
    let at = out.len() as u64;
    let message = write::batch_message(4, &growing.nodes(), &lengths, 0, at).unwrap();
    out.extend(&message.head);
    assert_eq!(out.len() % ALIGNMENT, 0);
    for buffer in &buffers {
        out.extend(buffer);
        out.extend(write::padding(buffer.len() as u64));
    }
    out.extend(write::END);
    out.extend(write::file_end(&schema, &[(at, message.head.len() as u64, message.body)]));
    let theirs: Vec<RecordBatch> =
        FileReader::try_new(Cursor::new(out.clone()), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(concatenated(&theirs), concatenated(&[zoo(4)]));
    assert_eq!(read(&out).unwrap().rows(), 4);
}

#[test]
fn columns_of_tensors_make_a_file_that_others_read() {
    let column =
        |name: &str, dtype, shape: &[u64]| NewTensor { name: name.into(), dtype, shape: shape.to_vec() };
    let columns = [
        column("id", DType::Int64, &[5]),
        column("vector", DType::Float32, &[5, 3]),
        column("image", DType::Uint8, &[5, 2, 2]),
    ];
    let data = [
        (0..5_i64).flat_map(i64::to_le_bytes).collect::<Vec<u8>>(),
        (0..15_u8).flat_map(|i| f32::from(i).to_le_bytes()).collect(),
        (0..20).collect(),
    ];
    let FileLayout { head, tail } = file_layout(&columns).unwrap();
    assert_eq!(head.len() % ALIGNMENT, 0);
    let mut file = head;
    for bytes in &data {
        file.extend(bytes);
        file.extend(write::padding(bytes.len() as u64));
    }
    file.extend(tail);
    let theirs: Vec<RecordBatch> =
        FileReader::try_new(Cursor::new(file.clone()), None).unwrap().map(Result::unwrap).collect();
    let [batch] = theirs.as_slice() else { panic!("{} batches", theirs.len()) };
    assert_eq!(batch.num_rows(), 5);
    let vectors = batch.column(1).as_fixed_size_list();
    assert_eq!(vectors.value(4).as_primitive::<Float32Type>().values(), &[12.0, 13.0, 14.0]);
    let found = tensors::columns(&file).unwrap();
    for (((name, found), column), bytes) in found.iter().zip(&columns).zip(&data) {
        let tensors::Column::Tensor { dtype, row, parts } = found else { panic!("{name}") };
        assert_eq!((name, *dtype, row.as_slice()), (&column.name, column.dtype, &column.shape[1..]));
        let [part] = parts.as_slice() else { panic!("{name}") };
        assert_eq!(&file[part.start..part.start + part.bytes], bytes);
    }
    let refused = [
        vec![],
        vec![column("a", DType::Int8, &[])],
        vec![column("a", DType::Bool, &[1])],
        vec![column("a", DType::Bfloat16, &[1])],
        vec![column("a", DType::Int8, &[1]), column("b", DType::Int8, &[2])],
        vec![column("a", DType::Int8, &[1]), column("a", DType::Int8, &[1])],
        vec![column("a", DType::Int8, &[1, 1 << 31])],
        vec![column("a", DType::Int8, &[1 << 30, 1 << 30])],
    ];
    for columns in refused {
        assert!(file_layout(&columns).is_err(), "{columns:?}");
    }
}

//! The generated code is up to date with `protos/perspective.proto`.
//!
//! After editing the `.proto`, regenerate it: `REGENERATE=1 cargo test -p proscenium-proto --test fresh`.

use std::path::Path;

/// Fields that carry whole tables; they share the frame's buffer instead of copying it.
const BYTES_FIELDS: [&str; 8] = [
    ".perspective.proto.MakeTableData.from_csv",
    ".perspective.proto.MakeTableData.from_arrow",
    ".perspective.proto.MakeTableData.from_rows",
    ".perspective.proto.MakeTableData.from_cols",
    ".perspective.proto.MakeTableData.from_ndjson",
    ".perspective.proto.ViewToArrowResp.arrow",
    ".perspective.proto.ViewOnUpdateResp.delta",
    ".perspective.proto.ViewOnRemoveResp.indices",
];

/// Fields of `MakeTableData` that clients declare as `string`, which has the same encoding. As bytes, long texts are
/// not copied; the conversion checks that they are UTF-8.
const TEXT_FIELDS: [&str; 4] = ["from_csv", "from_rows", "from_cols", "from_ndjson"];

fn generate() -> String {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("protos");
    let mut descriptors = protox::compile(["perspective.proto"], [protos]).expect("the .proto compiles");
    let messages = descriptors.file.iter_mut().flat_map(|file| &mut file.message_type);
    let fields =
        messages.filter(|message| message.name() == "MakeTableData").flat_map(|data| &mut data.field);
    for field in fields.filter(|field| TEXT_FIELDS.contains(&field.name())) {
        field.set_type(prost_types::field_descriptor_proto::Type::Bytes);
    }
    let out_dir = std::env::temp_dir().join(format!("proscenium-proto-{}", std::process::id()));
    std::fs::create_dir_all(&out_dir).expect("a folder for the output");
    prost_build::Config::new()
        .out_dir(&out_dir)
        .bytes(BYTES_FIELDS)
        // Equal messages have equal bytes.
        .btree_map(["."])
        .compile_fds(descriptors)
        .expect("code is generated");
    let code = std::fs::read_to_string(out_dir.join("perspective.proto.rs")).expect("the package's one file");
    std::fs::remove_dir_all(&out_dir).expect("the folder is ours");
    code
}

#[test]
fn generated_code_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated/perspective.proto.rs");
    let fresh = generate();
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, &fresh).expect("the generated file can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "{} is stale: run `REGENERATE=1 cargo test -p proscenium-proto --test fresh`",
        path.display()
    );
}

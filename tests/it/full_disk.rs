//! A disk that fills up while a predictor is trained: the run stops with a clear message, and once there is room again it
//! ends with the very weights of one that never met it.

use crate::resume::{described, outcome};
use crate::world::World;

use assay::domain::RunStatus;

const TRAIN: &str = "train --project demo.assay --aspect quality --epochs 6 --seed 5";

/// Trains on a disk of its own with `$ROOM` KiB left, then, if that was too little, gives the disk room and
/// trains again. The disk is a tmpfs in a
/// mount namespace, so nothing outside sees it and no rights are needed.
const STORY: &str = r#"
set -eu
disk=$PWD/disk; mkdir -p "$disk"
size=$(du -sk demo.assay demo.assay.cache | awk '{ sum += $1 } END { print sum }')
mount -t tmpfs -o size=$((size + ROOM))k tmpfs "$disk"
cp -r demo.assay demo.assay.cache "$disk/"
cd "$disk"
if ! "$ASSAY" $TRAIN 2>&1; then
    echo "first: stopped"
    mount -o remount,size=300m "$disk"
    "$ASSAY" $TRAIN >/dev/null
fi
cd ..
cp -r disk/demo.assay* .
"#;

#[test]
fn a_full_disk_stops_a_training_and_costs_nothing() {
    let whole = described();
    let answer = whole.run(&TRAIN.split(' ').collect::<Vec<_>>());
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let (expected, epochs, _) = outcome(&whole);
    let mut stopped = 0;
    for room in [500, 4_000, 8_000, 12_000] {
        let world = described();
        let Some(told) = on_a_disk_of(&world, room) else {
            println!("skipped: no disk of one's own can be mounted here");
            return;
        };
        if told.contains("first: stopped") {
            stopped += 1;
            assert!(told.contains("the disk is full"), "{room} KiB: {told}");
        }
        let (weights, its_epochs, status) = outcome(&world);
        assert_eq!(
            (status, its_epochs),
            (RunStatus::Done, epochs),
            "{room} KiB"
        );
        assert!(
            weights.is_some() && weights == expected,
            "{room} KiB: other weights"
        );
    }
    assert!(stopped > 1, "the disk was hardly ever full");
}

/// What the story told; `None` where the system mounts nothing for us.
fn on_a_disk_of(world: &World, room: u32) -> Option<String> {
    let mount = "mkdir -p probe && mount -t tmpfs tmpfs probe";
    let unshare = |script: &str| {
        world
            .shell("unshare", &["-Urm", "sh", "-c", script])
            .env("ROOM", room.to_string())
            .env("TRAIN", TRAIN)
            .output()
    };
    if !unshare(mount).is_ok_and(|probe| probe.status.success()) {
        return None;
    }
    let told = unshare(STORY).expect("it could be started just now");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = (told.status, text(&told.stdout), text(&told.stderr));
    assert!(told.0.success(), "{room} KiB: {told:?}");
    Some(told.1)
}

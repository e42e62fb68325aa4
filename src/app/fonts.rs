//! A font for scripts that the built-in ones lack, borrowed from the system: prompts are written in every language.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use egui::FontData;
use egui::FontFamily;
use egui::epaint::text::FontInsert;
use egui::epaint::text::FontPriority;
use egui::epaint::text::InsertFontFamily;

/// Where systems keep a font with Chinese, Japanese and Korean characters, the most complete first.
const PLACES: [&str; 11] = [
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "C:\\Windows\\Fonts\\msyh.ttc",
    "C:\\Windows\\Fonts\\meiryo.ttc",
    "C:\\Windows\\Fonts\\simsun.ttc",
];

/// Reads the font on a thread, because it may have 20 MB. Where there is none, boxes stand for its characters.
pub(super) fn borrow_from_system(ctx: &egui::Context) -> io::Result<()> {
    let ctx = ctx.clone();
    thread::Builder::new()
        .name("assay-fonts".to_owned())
        .spawn(move || {
            let found = PLACES.iter().find(|place| Path::new(place).is_file());
            let Some(bytes) = found.and_then(|place| fs::read(place).ok()) else {
                return;
            };
            let last = |family| InsertFontFamily {
                family,
                priority: FontPriority::Lowest,
            };
            let families = vec![last(FontFamily::Proportional), last(FontFamily::Monospace)];
            ctx.add_font(FontInsert::new(
                "system",
                FontData::from_owned(bytes),
                families,
            ));
            ctx.request_repaint();
        })
        .map(drop)
}

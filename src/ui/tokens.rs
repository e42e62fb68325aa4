//! Colours, sizes and spacing: the only place where they are numbers.
//!
//! Chrome is neutral grey, so that pictures are the brightest and only coloured thing besides the aspects.
//! Aspect colours follow Okabe and Ito's palette, made lighter on dark and darker on light ground; each aspect has
//! a shape as well, because colour alone says nothing to some eyes.

use egui::Color32;
use egui::CornerRadius;
use egui::FontFamily;
use egui::FontId;
use egui::Margin;
use egui::Stroke;
use egui::Style;
use egui::TextStyle;
use egui::Vec2;
use egui::Visuals;
use egui::style::WidgetVisuals;

use crate::domain::Aspect;
use crate::state::Theme;

/// One step of the spacing grid in points.
pub const STEP: f32 = 4.0;

/// Space between things that belong together.
pub const GAP: f32 = 2.0 * STEP;

/// Space between groups.
pub const GROUP_GAP: f32 = 4.0 * STEP;

/// Size of captions.
pub const SMALL: f32 = 12.0;

/// Size of running text.
pub const BODY: f32 = 14.0;

/// Size of headings.
pub const HEADING: f32 = 20.0;

/// Height of a line of controls.
pub const ROW_HEIGHT: f32 = 28.0;

/// Rounding of cells, cards and controls.
pub const RADIUS: CornerRadius = CornerRadius::same(4);

/// Width of the navigation on the left.
pub const NAVIGATION_WIDTH: f32 = 132.0;

/// Width of the panel on the right.
pub const PANEL_WIDTH: f32 = 320.0;

/// Colours of one theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind pictures.
    pub ground: Color32,
    /// Panels.
    pub panel: Color32,
    /// Cards and cells that lie on a panel.
    pub raised: Color32,
    /// Controls under the pointer.
    pub hover: Color32,
    /// Lines between things.
    pub line: Color32,
    /// Text, ticks of ground truth.
    pub ink: Color32,
    /// Captions.
    pub faint: Color32,
    /// Focus and selection.
    pub accent: Color32,
    /// Ground of selected things.
    pub accent_ground: Color32,
    /// Something failed or is missing.
    pub error: Color32,
    /// Something deserves a look.
    pub warning: Color32,
    /// The veil behind dialogs.
    pub veil: Color32,
    quality: Color32,
    correspondence: Color32,
    authenticity: Color32,
}

const DARK: Palette = Palette {
    ground: Color32::from_rgb(18, 18, 19),
    panel: Color32::from_rgb(27, 27, 29),
    raised: Color32::from_rgb(38, 38, 41),
    hover: Color32::from_rgb(52, 52, 56),
    line: Color32::from_rgb(58, 58, 62),
    ink: Color32::from_rgb(224, 224, 226),
    faint: Color32::from_rgb(158, 158, 164),
    accent: Color32::from_rgb(190, 200, 214),
    accent_ground: Color32::from_rgb(62, 70, 82),
    error: Color32::from_rgb(240, 128, 120),
    warning: Color32::from_rgb(226, 190, 100),
    veil: Color32::from_black_alpha(150),
    quality: Color32::from_rgb(86, 180, 233),
    correspondence: Color32::from_rgb(230, 159, 0),
    authenticity: Color32::from_rgb(214, 130, 178),
};

const LIGHT: Palette = Palette {
    ground: Color32::from_rgb(226, 226, 228),
    panel: Color32::from_rgb(242, 242, 243),
    raised: Color32::from_rgb(252, 252, 253),
    hover: Color32::from_rgb(228, 229, 232),
    line: Color32::from_rgb(204, 204, 208),
    ink: Color32::from_rgb(30, 30, 33),
    faint: Color32::from_rgb(96, 96, 102),
    accent: Color32::from_rgb(58, 76, 102),
    accent_ground: Color32::from_rgb(208, 217, 230),
    error: Color32::from_rgb(178, 40, 34),
    warning: Color32::from_rgb(140, 94, 0),
    veil: Color32::from_black_alpha(90),
    quality: Color32::from_rgb(0, 104, 168),
    correspondence: Color32::from_rgb(186, 88, 0),
    authenticity: Color32::from_rgb(150, 52, 112),
};

/// Colours of a sitting, whatever the theme: a neutral mid grey (L* 50) around the picture, as viewing conditions for
/// subjective tests ask for, and the controls on a darker grey without a tint.
pub const STUDY: Palette = Palette {
    ground: Color32::from_gray(119),
    panel: Color32::from_gray(52),
    raised: Color32::from_gray(72),
    hover: Color32::from_gray(92),
    line: Color32::from_gray(104),
    ink: Color32::from_gray(240),
    faint: Color32::from_gray(190),
    accent: Color32::from_gray(220),
    accent_ground: Color32::from_gray(112),
    error: Color32::from_rgb(250, 160, 150),
    warning: Color32::from_rgb(236, 206, 130),
    veil: Color32::from_black_alpha(150),
    quality: Color32::from_gray(220),
    correspondence: Color32::from_gray(220),
    authenticity: Color32::from_gray(220),
};

/// Size of the question and of the scale's words in a sitting: read from further away than chrome.
pub const QUESTION: f32 = 18.0;

/// The shape of an aspect's marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Quality.
    Circle,
    /// Correspondence.
    Diamond,
    /// Authenticity.
    Square,
}

/// The shape of an aspect's marks, so that colour is never alone.
pub const fn shape(aspect: Aspect) -> Shape {
    match aspect {
        Aspect::Quality => Shape::Circle,
        Aspect::Correspondence => Shape::Diamond,
        Aspect::Authenticity => Shape::Square,
    }
}

impl Palette {
    /// The colours of a theme.
    pub const fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Light => &LIGHT,
            Theme::Dark => &DARK,
        }
    }

    /// The colours that this part of the window is drawn in.
    pub fn in_use(ui: &egui::Ui) -> &'static Self {
        if ui.visuals().dark_mode {
            &DARK
        } else {
            &LIGHT
        }
    }

    /// The colour of an aspect's predictions, badges and curves.
    pub const fn aspect(&self, aspect: Aspect) -> Color32 {
        match aspect {
            Aspect::Quality => self.quality,
            Aspect::Correspondence => self.correspondence,
            Aspect::Authenticity => self.authenticity,
        }
    }
}

/// Puts a theme on a context, with or without the toolkit's own short motions.
pub fn apply(ctx: &egui::Context, theme: Theme, is_motion_reduced: bool) {
    ctx.set_theme(match theme {
        Theme::Light => egui::Theme::Light,
        Theme::Dark => egui::Theme::Dark,
    });
    for (egui_theme, palette) in [(egui::Theme::Light, &LIGHT), (egui::Theme::Dark, &DARK)] {
        ctx.style_mut_of(egui_theme, |style| {
            style_with(style, palette);
            if is_motion_reduced {
                style.animation_time = 0.0;
            }
        });
    }
}

/// Puts the colours of a sitting on a part of the window.
pub fn apply_study(ui: &mut egui::Ui) {
    let style = ui.style_mut();
    style.visuals = Visuals::dark();
    style_with(style, &STUDY);
}

fn style_with(style: &mut Style, palette: &Palette) {
    style.text_styles = [
        (TextStyle::Small, SMALL, FontFamily::Proportional),
        (TextStyle::Body, BODY, FontFamily::Proportional),
        (TextStyle::Button, BODY, FontFamily::Proportional),
        (TextStyle::Monospace, SMALL, FontFamily::Monospace),
        (TextStyle::Heading, HEADING, FontFamily::Proportional),
    ]
    .into_iter()
    .map(|(text_style, size, family)| (text_style, FontId::new(size, family)))
    .collect();
    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::new(GAP, GAP);
    spacing.button_padding = Vec2::new(2.5 * STEP, STEP);
    spacing.interact_size = Vec2::new(ROW_HEIGHT, ROW_HEIGHT);
    spacing.window_margin = Margin::same(16);
    spacing.menu_margin = Margin::same(8);
    spacing.tooltip_width = 420.0;
    spacing.combo_height = 360.0;
    visuals_with(&mut style.visuals, palette);
    // Results arriving must not make anything slide about.
    style.animation_time = 0.08;
}

fn visuals_with(visuals: &mut Visuals, palette: &Palette) {
    visuals.panel_fill = palette.panel;
    visuals.window_fill = palette.panel;
    visuals.window_stroke = Stroke::new(1.0, palette.line);
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.menu_corner_radius = CornerRadius::same(6);
    visuals.extreme_bg_color = palette.ground;
    visuals.text_edit_bg_color = Some(palette.raised);
    visuals.faint_bg_color = palette.raised;
    visuals.code_bg_color = palette.raised;
    visuals.weak_text_color = Some(palette.faint);
    visuals.error_fg_color = palette.error;
    visuals.warn_fg_color = palette.warning;
    visuals.hyperlink_color = palette.accent;
    visuals.selection.bg_fill = palette.accent_ground;
    visuals.selection.stroke = Stroke::new(1.0, palette.ink);
    let widgets = &mut visuals.widgets;
    widgets.noninteractive = widget(palette.panel, palette.line, palette.ink);
    widgets.inactive = widget(palette.raised, palette.line, palette.ink);
    widgets.hovered = widget(palette.hover, palette.faint, palette.ink);
    widgets.active = widget(palette.accent_ground, palette.accent, palette.ink);
    widgets.open = widget(palette.hover, palette.line, palette.ink);
}

const fn widget(fill: Color32, line: Color32, ink: Color32) -> WidgetVisuals {
    WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke {
            width: 1.0,
            color: line,
        },
        corner_radius: RADIUS,
        fg_stroke: Stroke {
            width: 1.0,
            color: ink,
        },
        expansion: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance after WCAG 2.2.
    fn luminance(colour: Color32) -> f64 {
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_on_every_ground() {
        for palette in [&DARK, &LIGHT] {
            for ground in [palette.ground, palette.panel, palette.raised] {
                assert!(contrast(palette.ink, ground) > 7.0);
                assert!(contrast(palette.faint, ground) > 4.5, "{ground:?}");
                assert!(contrast(palette.error, ground) > 4.5, "{ground:?}");
            }
        }
    }

    #[test]
    fn a_sitting_is_neutral_and_can_be_read() {
        let greys = [
            STUDY.ground,
            STUDY.panel,
            STUDY.raised,
            STUDY.ink,
            STUDY.faint,
            STUDY.accent,
        ];
        for grey in greys {
            assert!(grey.r() == grey.g() && grey.g() == grey.b(), "{grey:?}");
        }
        for ground in [STUDY.panel, STUDY.raised] {
            assert!(contrast(STUDY.ink, ground) > 7.0);
            assert!(contrast(STUDY.faint, ground) > 4.5);
            assert!(contrast(STUDY.error, ground) > 4.5);
        }
    }

    #[test]
    fn aspect_colours_can_be_seen_on_every_ground() {
        for palette in [&DARK, &LIGHT] {
            for aspect in Aspect::ALL {
                for ground in [palette.panel, palette.raised] {
                    assert!(contrast(palette.aspect(aspect), ground) > 4.0, "{aspect}");
                }
            }
        }
    }

    #[test]
    fn digits_are_equally_wide() {
        let ctx = egui::Context::default();
        let mut widths = Vec::new();
        let mut output = ctx.run_ui(egui::RawInput::default(), |ui| {
            widths = ('0'..='9')
                .map(|digit| {
                    let font = FontId::proportional(BODY);
                    ui.fonts_mut(|fonts| fonts.glyph_width(&font, digit))
                })
                .collect();
        });
        // Nothing is drawn here, and the toolkit asks that what is thrown away be thrown away knowingly.
        output.textures_delta.clear();
        assert!(widths.iter().all(|width| (width - widths[0]).abs() < 1e-4));
    }
}

//! Which renderer draws.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What the user chose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RendererChoice {
    /// wgpu where there is a graphics card, glow where there is none.
    #[default]
    Auto,
    /// OpenGL; the faster one when software draws.
    Glow,
    /// Vulkan, Metal or DirectX.
    Wgpu,
}

impl FromStr for RendererChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "glow" => Ok(Self::Glow),
            "wgpu" => Ok(Self::Wgpu),
            other => Err(format!("expected auto, glow or wgpu, got {other:?}")),
        }
    }
}

impl fmt::Display for RendererChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Glow => "glow",
            Self::Wgpu => "wgpu",
        })
    }
}

/// The renderer of a choice.
pub(super) fn choose(choice: RendererChoice) -> eframe::Renderer {
    let on_card = match choice {
        RendererChoice::Glow => false,
        RendererChoice::Wgpu => true,
        RendererChoice::Auto => has_graphics_card(),
    };
    if on_card {
        eframe::Renderer::Wgpu
    } else {
        eframe::Renderer::Glow
    }
}

/// On Linux a card shows as a device node; elsewhere every desktop draws with one.
/// Software Vulkan is several times slower than software OpenGL, so the question matters.
fn has_graphics_card() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    ["/dev/dri/renderD128", "/dev/nvidia0"]
        .iter()
        .any(|node| Path::new(node).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_back_as_written() {
        for choice in [
            RendererChoice::Auto,
            RendererChoice::Glow,
            RendererChoice::Wgpu,
        ] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert!("opengl".parse::<RendererChoice>().is_err());
    }
}

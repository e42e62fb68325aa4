//! Painters: from facts to a clean picture, before any defect.

mod air;
mod backdrop;
mod extras;
mod glass;
mod house;
mod land;
mod sea;
mod space;
mod style;
mod table;

use super::canvas::Canvas;
use super::dice::Dice;
use super::scene::Facts;
use super::scene::Family;

use backdrop::Mood;

/// Paints what the facts say, before its style; the dice choose places, sizes and shapes.
pub(super) fn paint(facts: &Facts, dice: &mut Dice) -> Canvas {
    let mut canvas = Canvas::new();
    let c = &mut canvas;
    let mood = Mood::of(facts, dice);
    match facts.family {
        Family::Balloons => air::balloons(c, facts, &mood, dice),
        Family::Lanterns => air::lanterns(c, facts, &mood, dice),
        Family::Boats => sea::boats(c, facts, &mood, dice),
        Family::Canoes => sea::canoes(c, facts, &mood, dice),
        Family::Lighthouses => sea::lighthouses(c, facts, &mood, dice),
        Family::Fish => sea::fish(c, facts, &mood, dice),
        Family::City => house::city(c, facts, &mood, dice),
        Family::Cabins => house::cabins(c, facts, &mood, dice),
        Family::Umbrellas => house::umbrellas(c, facts, &mood, dice),
        Family::Planets => space::planets(c, facts, &mood, dice),
        Family::Fruits => table::fruits(c, facts, &mood, dice),
        Family::Cups => table::cups(c, facts, &mood, dice),
        Family::Tents => land::tents(c, facts, &mood, dice),
        Family::Tulips => land::tulips(c, facts, &mood, dice),
        Family::Mushrooms => land::mushrooms(c, facts, &mood, dice),
        Family::Glass => glass::window(c, facts, &mood, dice),
    }
    canvas
}

/// Turns the painted scene into the style that the facts name.
pub(super) fn finish(canvas: &mut Canvas, facts: &Facts, dice: &mut Dice) {
    style::apply(canvas, facts.style, dice);
}

//! Amounts upon each other, bucket by bucket: how many were answered, refused, failed.

use std::ops::Range;

use crate::{
    Tone,
    frame::Frame,
    svg::{Path, Svg},
};

/// Amounts upon each other. Its height means the sum, so a plot with a stack has a linear vertical
/// axis, whatever is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stack {
    /// Where each bucket begins, increasing; it ends where the next begins, and the last is as
    /// wide as the one before it.
    pub at: Vec<f64>,
    /// From the bottom to the top.
    pub layers: Vec<Layer>,
}

/// One layer of a stack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// Stands in the legend. Without a name it is not there.
    pub name: String,
    /// How it looks.
    pub tone: Tone,
    /// The amount in each bucket. What is missing, negative or not finite counts as nothing; a
    /// bucket in which no layer has a finite amount is a gap.
    pub amounts: Vec<f64>,
}

/// Buckets that are drawn as one, because they fall into one column of the picture.
struct Column {
    left: f64,
    right: f64,
    buckets: Range<usize>,
}

impl Stack {
    /// Where each bucket begins and ends.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (f64, f64)> {
        let width = match self.at[..] {
            [.., one, other] => other - one,
            _ => 1.0,
        };
        let end = self.at.last().map(|last| last + width);
        self.at.iter().copied().zip(self.at.iter().skip(1).copied().chain(end))
    }

    /// The height of a bucket up to and with a layer.
    fn height(&self, bucket: usize, layers: usize) -> f64 {
        self.layers[..layers].iter().map(|layer| layer.amount(bucket)).sum()
    }

    /// The heights of all buckets.
    pub(crate) fn heights(&self) -> impl Iterator<Item = f64> {
        (0..self.at.len()).map(|bucket| self.height(bucket, self.layers.len()))
    }

    pub(crate) fn draw(&self, frame: &Frame, svg: &mut Svg) {
        let columns = self.columns(frame);
        for (index, layer) in self.layers.iter().enumerate() {
            let mut path = Path::default();
            for piece in columns.chunk_by(|one, other| one.right == other.left) {
                self.outline(piece, index, frame, &mut path);
            }
            if !path.is_empty() {
                let class = format!("tf-area {}", layer.tone.class());
                svg.empty("path", &[("class", &class), ("d", &path)]);
            }
        }
    }

    /// Along the tops of a layer and back along its bottoms, in steps: an amount belongs to the
    /// whole bucket, and nobody knows what it was at the moment between two.
    fn outline(&self, piece: &[Column], layer: usize, frame: &Frame, path: &mut Path) {
        if piece.iter().all(|column| self.mean(column, layer + 1) == self.mean(column, layer)) {
            return;
        }
        let place = |column: &Column, layers| {
            frame.y.place(self.mean(column, layers)).unwrap_or(frame.bottom)
        };
        path.move_to((piece[0].left, place(&piece[0], layer)));
        for column in piece {
            let top = place(column, layer + 1);
            path.line_to((column.left, top));
            path.line_to((column.right, top));
        }
        for column in piece.iter().rev() {
            let bottom = place(column, layer);
            path.line_to((column.right, bottom));
            path.line_to((column.left, bottom));
        }
        path.close();
    }

    /// Of buckets that share a column the mean is drawn: the layers of one drawn bucket must be
    /// of the same time, which the extremes of each are not.
    fn mean(&self, column: &Column, layers: usize) -> f64 {
        let sum: f64 = column.buckets.clone().map(|bucket| self.height(bucket, layers)).sum();
        sum / column.buckets.len() as f64
    }

    /// Each at least a unit wide, as far as the buckets go; buckets without data are left out.
    fn columns(&self, frame: &Frame) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for (bucket, (from, to)) in self.buckets().enumerate() {
            let has_data = self
                .layers
                .iter()
                .any(|layer| layer.amounts.get(bucket).is_some_and(|amount| amount.is_finite()));
            let Some((left, right)) = frame.x.place(from).zip(frame.x.place(to)) else { continue };
            if !has_data || right <= left {
                continue;
            }
            match columns.last_mut() {
                // Out of order: a bucket upon another would hide it.
                Some(last) if left < last.right => {}
                Some(last) if last.right == left && last.right - last.left < 1.0 => {
                    last.right = right;
                    last.buckets.end = bucket + 1;
                }
                _ => columns.push(Column { left, right, buckets: bucket..bucket + 1 }),
            }
        }
        columns
    }
}

impl Layer {
    fn amount(&self, bucket: usize) -> f64 {
        let amount = self.amounts.get(bucket).copied().unwrap_or(0.0);
        if amount.is_finite() { amount.max(0.0) } else { 0.0 }
    }
}

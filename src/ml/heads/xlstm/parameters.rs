//! Names, shapes and first values of a stack's weights, in one list.

use super::XlstmConfig;
use crate::ml::heads::Init;
use crate::ml::heads::Parameter;

impl XlstmConfig {
    /// Every weight of the stack in the order of the reference's state dict, initialised as there.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = Vec::new();
        for index in 0..self.num_blocks {
            let block = format!("blocks.{index}");
            let norm = Init::Constant(0.0);
            list.push(Parameter::new(
                format!("{block}.xlstm_norm.weight"),
                &[self.dim],
                norm,
            ));
            if self.is_slstm(index) {
                self.slstm_parameters(&block, index, &mut list);
            } else {
                self.mlstm_parameters(&block, &mut list);
            }
        }
        list.push(Parameter::new(
            "post_blocks_norm.weight",
            &[self.dim],
            Init::Constant(0.0),
        ));
        list
    }

    fn mlstm_parameters(&self, block: &str, list: &mut Vec<Parameter>) {
        let (dim, inner, heads) = (self.dim, self.inner(), self.num_heads);
        let mut push = |name: &str, shape: &[usize], init| {
            list.push(Parameter::new(format!("{block}.xlstm.{name}"), shape, init));
        };
        push("learnable_skip", &[inner], Init::Constant(1.0));
        push("proj_up.weight", &[2 * inner, dim], self.small());
        let part = self.qkv_block_size;
        for name in ["q_proj.weight", "k_proj.weight", "v_proj.weight"] {
            push(name, &[inner / part, part, part], self.small());
        }
        push(
            "conv1d.conv.weight",
            &[inner, 1, self.conv_kernel],
            self.conv(),
        );
        push("conv1d.conv.bias", &[inner], self.conv());
        push(
            "mlstm_cell.igate.weight",
            &[heads, 3 * inner],
            Init::Constant(0.0),
        );
        push("mlstm_cell.igate.bias", &[heads], Init::Normal(0.1));
        push(
            "mlstm_cell.fgate.weight",
            &[heads, 3 * inner],
            Init::Constant(0.0),
        );
        let steps = (heads - 1).max(1) as f64;
        let line = (0..heads).map(|head| 3.0 + 3.0 * head as f64 / steps);
        push(
            "mlstm_cell.fgate.bias",
            &[heads],
            Init::Values(line.collect()),
        );
        push("mlstm_cell.outnorm.weight", &[inner], Init::Constant(0.0));
        push("proj_down.weight", &[dim, inner], self.wang());
    }

    fn slstm_parameters(&self, block: &str, index: usize, list: &mut Vec<Parameter>) {
        let (dim, heads) = (self.dim, self.num_heads);
        let width = dim / heads;
        let mut push = |name: &str, shape: &[usize], init| {
            list.push(Parameter::new(format!("{block}.{name}"), shape, init));
        };
        push(
            "xlstm.conv1d.conv.weight",
            &[dim, 1, self.conv_kernel],
            self.conv(),
        );
        push("xlstm.conv1d.conv.bias", &[dim], self.conv());
        for gate in ["fgate", "igate", "zgate", "ogate"] {
            let name = format!("xlstm.{gate}.weight");
            push(&name, &[heads, width, width], self.small());
        }
        let kernel = "xlstm.slstm_cell._recurrent_kernel_";
        push(kernel, &[heads, 4 * width, width], Init::Constant(0.0));
        let bias = Init::Values(self.slstm_bias(index));
        push("xlstm.slstm_cell._bias_", &[4 * dim], bias);
        push("xlstm.group_norm.weight", &[dim], Init::Constant(0.0));
        push("ffn_norm.weight", &[dim], Init::Constant(0.0));
        let inner = self.ffn_inner();
        push("ffn.proj_up.weight", &[2 * inner, dim], self.small());
        push("ffn.proj_down.weight", &[dim, inner], self.wang());
    }

    /// The bias `[gate, head, dim]` with gates i, f, z, o: forget gates fall by a power law from 5 to -7 within each
    /// head, the later the block the later the fall; the others are 0.
    fn slstm_bias(&self, index: usize) -> Vec<f64> {
        let width = self.dim / self.num_heads;
        let depth = index as f64 / (self.num_blocks - 1).max(1) as f64;
        let last = (width - 1).max(1) as f64;
        let forget = |at: usize| 5.0 - 12.0 * (at as f64 / last).powf(0.3 + 1.3 * depth);
        (0..4 * self.dim)
            .map(|at| {
                if at / self.dim == 1 {
                    forget(at % width)
                } else {
                    0.0
                }
            })
            .collect()
    }

    fn small(&self) -> Init {
        Init::Normal((2.0 / (5.0 * self.dim as f64)).sqrt())
    }

    fn wang(&self) -> Init {
        Init::Normal(2.0 / (self.num_blocks as f64 * (self.dim as f64).sqrt()))
    }

    /// PyTorch's default for a depthwise convolution: the fan-in is the number of taps.
    fn conv(&self) -> Init {
        Init::Uniform(1.0 / (self.conv_kernel as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_stack_has_its_number_of_parameters() {
        let list = XlstmConfig::m3_agiqa(512, 512).parameters();
        let count: usize = list.iter().map(|p| p.shape.iter().product::<usize>()).sum();
        assert_eq!(count, 6_464_536);
    }

    #[test]
    fn names_and_shapes_are_those_of_the_reference() {
        let list = XlstmConfig::m3_agiqa(512, 512).parameters();
        let ours: Vec<String> = list
            .iter()
            .map(|p| format!("{} {:?}", p.name, p.shape))
            .collect();
        let theirs = include_str!("../../../../tests/fixtures/xlstm/state_dict.txt");
        assert_eq!(ours, theirs.lines().collect::<Vec<_>>());
    }

    #[test]
    fn the_forget_bias_runs_from_5_to_minus_7() {
        let config = XlstmConfig::m3_agiqa(512, 512);
        let bias = config.slstm_bias(1);
        assert_eq!((bias[512], bias[512 + 127]), (5.0, -7.0));
        assert!(bias[..512].iter().chain(&bias[1024..]).all(|&b| b == 0.0));
    }

    #[derive(serde::Deserialize)]
    struct Fresh {
        /// Mean, standard deviation, least and largest value.
        weights: std::collections::BTreeMap<String, [f64; 4]>,
        slstm_bias: Vec<f64>,
    }

    #[test]
    fn first_values_have_the_statistics_of_the_reference() {
        let json = include_str!("../../../../tests/fixtures/xlstm/init.json");
        let theirs: Fresh = serde_json::from_str(json).unwrap();
        let config = XlstmConfig::m3_agiqa(512, 512);
        let list = config.parameters();
        let weights = crate::ml::train::initial_weights(&list, 5);
        for parameter in &list {
            let [mean, deviation, least, largest] = theirs.weights[&parameter.name];
            let (_, values) = weights.get(&parameter.name).unwrap();
            let n = values.len() as f64;
            let ours = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let square = values.iter().map(|&v| (f64::from(v) - ours).powi(2));
            let spread = (square.sum::<f64>() / n).sqrt();
            if values.len() < 8 && matches!(parameter.init, Init::Normal(_)) {
                // The gates' biases: four values say little of their deviation of 0.1.
                assert!(values.iter().all(|v| v.abs() < 0.5) && deviation < 0.5);
                continue;
            }
            let name = &parameter.name;
            let error = 5.0 / n.sqrt();
            assert!(
                (spread - deviation).abs() <= error * deviation + 1e-6,
                "{name}"
            );
            assert!(
                (ours - mean).abs() <= 1.5 * error * deviation + 1e-6,
                "{name}"
            );
            if let Init::Uniform(bound) = parameter.init {
                assert!(largest <= bound && -least <= bound && bound < 1.02 * largest);
            }
        }
    }

    #[test]
    fn the_bias_of_the_slstm_is_that_of_the_reference() {
        let json = include_str!("../../../../tests/fixtures/xlstm/init.json");
        let theirs: Fresh = serde_json::from_str(json).unwrap();
        let ours = XlstmConfig::m3_agiqa(512, 512).slstm_bias(1);
        assert_eq!(ours.len(), theirs.slstm_bias.len());
        // The reference computes in single precision.
        for (ours, theirs) in ours.iter().zip(&theirs.slstm_bias) {
            assert!((ours - theirs).abs() < 1e-4, "{ours} against {theirs}");
        }
    }
}

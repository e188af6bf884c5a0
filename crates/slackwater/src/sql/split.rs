//! Sums over bars that cut facts: which arguments see the share of a cut fact, and how exact their sums leave.

use super::typing::Refused;
use slackwater_core::limits;
use slackwater_core::plan::expr::{Arithmetic, Comparison, Node};
use slackwater_core::plan::{Accumulate, Cut, Expr, Guard, Overshoot, Pipeline, Windowing};
use slackwater_core::value::{Type, Value};

/// Decimal places to which a share that is a fraction is rounded when it leaves.
const PLACES: u8 = 12;

/// The measure of bars that cut facts, and the field that is cut: its last factor.
pub(super) struct Split {
    measure: Expr,
    field: usize,
}

impl Split {
    pub fn of(windowing: &Windowing) -> Option<Split> {
        let Windowing::Bars(bars) = windowing else { return None };
        match &bars.cut {
            Cut::Measure { of, rule: Overshoot::Split, .. } => {
                Some(Split { measure: of.clone(), field: *factors(of)?.last()? })
            }
            _ => None,
        }
    }

    /// Whether an argument of a sum reads the field that is cut.
    pub fn shares(&self, argument: &Expr) -> bool {
        let mut found = false;
        argument.clone().visit_inputs(&mut |field| found |= *field == self.field);
        found
    }

    /// The sum of an argument's shares, and its type: the measure itself is cut at exact places, and so is all that is in
    /// proportion to it by an exact factor; a fraction is rounded when it leaves.
    pub fn sum(&self, argument: Expr, ty: Type) -> Result<(Accumulate, Type), Refused> {
        if argument.ty.exact().is_none() || !self.is_linear(&argument) {
            return Err(no_share());
        }
        let whole = self.is_whole() || argument.node == self.measure.node;
        let ty = match ty {
            Type::Decimal { precision, scale } if !whole => {
                let places = PLACES.max(scale);
                Type::Decimal { precision: (precision - scale + places).min(limits::WIDE_DIGITS), scale: places }
            }
            _ => ty,
        };
        Ok((Accumulate::Shares(argument), ty))
    }

    /// The sum of products of a double and of an argument's shares, which must be whole numbers of its last places.
    pub fn products(&self, double: Expr, argument: Expr) -> Result<Accumulate, Refused> {
        if self.shares(&double) || !self.is_linear(&argument) || !self.is_whole() {
            return Err(no_share());
        }
        Ok(Accumulate::SharedProducts(double, argument))
    }

    /// Whether the measure is the field that is cut, and nothing else.
    fn is_whole(&self) -> bool {
        factors(&self.measure).is_some_and(|of| of.len() == 1)
    }

    /// Whether a share of the field is the same share of the whole expression.
    fn is_linear(&self, expr: &Expr) -> bool {
        match &expr.node {
            Node::Input(field) => *field == self.field,
            Node::Negate(a) => self.is_linear(a),
            Node::Arithmetic(Arithmetic::Multiply, a, b) => {
                (self.is_linear(a) && !self.shares(b)) || (!self.shares(a) && self.is_linear(b))
            }
            Node::Case(branches, otherwise) => {
                let fits = |value: &Expr| value.is_null_literal() || self.is_linear(value);
                branches.iter().all(|(condition, value)| !self.shares(condition) && fits(value)) && fits(otherwise)
            }
            _ => false,
        }
    }
}

fn no_share() -> Refused {
    let help = "take the column itself, or a product of it with decimals that are not cut, or in volume bars sum_product or \
                wavg of it and a float64; or fold the bars by 'whole' or 'carry'";
    ("this sum has no share for a fact that is cut between bars".to_string(), Some(help.to_string()))
}

/// What a source must demand of its events where a pipeline cuts them between bars, or lets them pass over some: that none
/// fills or passes too many.
pub fn bound(pipeline: &Pipeline) -> Option<Guard> {
    let Windowing::Bars(bars) = &pipeline.windowing else { return None };
    let Cut::Measure { of, threshold, rule } = &bars.cut else { return None };
    let power = match rule {
        Overshoot::Whole => return None,
        Overshoot::Carry => limits::CARRY_POWER,
        Overshoot::Split => limits::SPLIT_POWER,
    };
    let most = threshold.checked_mul_pow10(power).expect("a threshold has 76 digits at most");
    let (_, scale) = of.ty.exact().expect("a measure is an exact number");
    let ty = Type::Decimal { precision: limits::WIDE_DIGITS, scale };
    let most = Expr::literal(ty, Value::Wide(most).to_scalar());
    let node = Node::Compare(Comparison::LessOrEqual, Box::new(of.clone()), Box::new(most));
    let bars = 10u64.pow(power);
    let text = format!("at most {bars} bars of pipeline {} from one event", pipeline.name);
    Some(Guard { expr: Expr { ty: Type::Bool, nullable: false, node }, text })
}

/// The fields of a product of fields, in the order in which they are written.
pub(super) fn factors(expr: &Expr) -> Option<Vec<usize>> {
    match &expr.node {
        Node::Input(field) => Some(vec![*field]),
        Node::Arithmetic(Arithmetic::Multiply, a, b) => {
            let mut fields = factors(a)?;
            fields.extend(factors(b)?);
            Some(fields)
        }
        _ => None,
    }
}

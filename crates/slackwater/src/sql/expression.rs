//! Scalar expressions, over a row or over aggregates: what differs between the two is the scope.

use super::place::Piece;
use super::typing::{self, Refused, make};
use super::{Outcome, SqlError, extent, literal, place};
use slackwater_core::limits;
use slackwater_core::plan::Expr;
use slackwater_core::plan::expr::{Arithmetic, Comparison, Node};
use slackwater_core::schema::Schema;
use slackwater_core::value::Type;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, ExactNumberInfo, Expr as Ast, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, TimezoneInfo, UnaryOperator,
};
use std::ops::Range;

/// What names and calls mean where an expression stands.
pub(super) trait Scope {
    /// The text, for places.
    fn sql(&self) -> &str;
    /// Most digits that an exact number may have here.
    fn digits(&self) -> u8;
    /// An expression that has a meaning as a whole: a group-by column.
    fn whole(&mut self, _: &Ast) -> Option<Expr> {
        None
    }
    /// A name.
    fn column(&mut self, qualifier: Option<&Ident>, name: &Ident) -> Outcome<Expr>;
    /// A call that is none of the scalar functions.
    fn call(&mut self, name: &str, function: &Function, span: Range<usize>) -> Outcome<Expr>;
    /// An aggregate result as another type, rounded once; none where the expression is no such result.
    fn recast(&mut self, _: &Expr, _: Type) -> Option<Expr> {
        None
    }
}

/// Names are the fields of a source's row.
#[derive(Clone)]
pub(super) struct RowScope<'a> {
    pub sql: &'a str,
    pub schema: &'a Schema,
    /// The source's name and alias.
    pub names: Vec<String>,
}

impl Scope for RowScope<'_> {
    fn sql(&self) -> &str {
        self.sql
    }

    fn digits(&self) -> u8 {
        limits::ROW_DIGITS
    }

    fn column(&mut self, qualifier: Option<&Ident>, name: &Ident) -> Outcome<Expr> {
        if let Some(qualifier) = qualifier.filter(|qualifier| !self.names.contains(&qualifier.value)) {
            let message = format!("`{}` is not the source of this pipeline", qualifier.value);
            let help = Some(format!("write {}.{}", self.names[0], name.value));
            return Err(SqlError { span: place::range(self.sql, qualifier.span), message, help });
        }
        let span = place::range(self.sql, name.span);
        let Some(index) = self.schema.index(&name.value) else {
            let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name.as_str()).collect();
            let help = match nearest(&name.value, &names) {
                Some(near) => format!("did you mean `{near}`? `{}` has {}", self.names[0], names.join(", ")),
                None => format!("`{}` has {}", self.names[0], names.join(", ")),
            };
            let message = format!("`{}` has no field `{}`", self.names[0], name.value);
            return Err(SqlError { span, message, help: Some(help) });
        };
        if !self.schema.is_content(index) {
            let what = if self.schema.roles().arrival == Some(index) { "arrival" } else { "sequence" };
            let message = format!("`{}` is the {what}, which says how the event came and not what it is", name.value);
            let help = "finals must not depend on it; take event time, or order = \"sequence\" for a sequence";
            return Err(SqlError { span, message, help: Some(help.into()) });
        }
        let field = &self.schema.fields()[index];
        Ok(Expr { ty: field.ty, nullable: field.nullable, node: Node::Input(index) })
    }

    fn call(&mut self, name: &str, _: &Function, span: Range<usize>) -> Outcome<Expr> {
        if super::aggregates::NAMES.contains(&name) {
            let message = format!("the aggregate {name}() cannot stand here: this is computed for each row");
            let help = Some("aggregates stand in the SELECT list and in HAVING, and not inside each other".into());
            return Err(SqlError { span, message, help });
        }
        if super::windows::NAMES.contains(&name) {
            let message = format!("the window {name}() stands in GROUP BY only");
            return Err(SqlError { span, message, help: Some("its bounds are always in the output".into()) });
        }
        Err(unknown_function(name, span))
    }
}

pub(super) const SCALARS: [&str; 4] = ["abs", "sqrt", "coalesce", "nullif"];

pub(super) fn unknown_function(name: &str, span: Range<usize>) -> SqlError {
    let known: Vec<&str> =
        super::aggregates::NAMES.iter().chain(&super::windows::NAMES).chain(&SCALARS).copied().collect();
    let help = match name {
        "stddev" => "did you mean `stddev_pop` or `stddev_samp`?".to_string(),
        "variance" | "var" => "did you mean `var_pop` or `var_samp`?".to_string(),
        "mean" => "did you mean `avg`?".to_string(),
        "vwap" => "write wavg(price, size)".to_string(),
        _ => match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        },
    };
    SqlError { span, message: format!("there is no function {name}()"), help: Some(help) }
}

/// The known name that is most like this one, if any is.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let slips = |other: &str| strsim::damerau_levenshtein(&name, &other.to_lowercase());
    let most = |other: &str| 1.max(name.chars().count().min(other.chars().count()) / 3);
    let slip = known.iter().filter(|other| slips(other) <= most(other)).min_by_key(|other| slips(other));
    // Else the beginning of one, if it says enough.
    slip.or_else(|| known.iter().find(|other| name.len() > 2 && other.starts_with(&name))).copied()
}

/// Types and compiles an expression.
pub(super) fn compile(scope: &mut impl Scope, ast: &Ast) -> Outcome<Expr> {
    if let Some(expr) = scope.whole(ast) {
        return Ok(expr);
    }
    let expr = form(scope, ast)?;
    bounded(scope, ast, &expr, 1)?;
    Ok(expr)
}

/// Refuses an expression that is too large so many times over.
fn bounded(scope: &impl Scope, ast: &Ast, expr: &Expr, times: usize) -> Outcome<()> {
    if extent::is_too_large(expr, times) {
        let message = format!("this expression is too large: it has more than {} parts", limits::EXPR_NODES);
        return refuse(scope, ast, &message, Some("split it into several columns or pipelines"));
    }
    Ok(())
}

fn form(scope: &mut impl Scope, ast: &Ast) -> Outcome<Expr> {
    match ast {
        Ast::Nested(inner) => compile(scope, inner),
        Ast::Identifier(name) => scope.column(None, name),
        Ast::CompoundIdentifier(parts) if parts.len() == 2 => scope.column(Some(&parts[0]), &parts[1]),
        Ast::Value(value) => literal::compile(scope.sql(), value),
        Ast::TypedString(typed) if matches!(typed.data_type, DataType::Timestamp(..)) => {
            let text = literal::compile(scope.sql(), &typed.value)?;
            at(scope, ast, typing::timestamp(text))
        }
        Ast::UnaryOp { op, expr } => unary(scope, ast, *op, expr),
        Ast::BinaryOp { left, op, right } => binary(scope, ast, left, op, right),
        Ast::IsNull(a) => Ok(is_null(compile(scope, a)?)),
        Ast::IsNotNull(a) => Ok(not(is_null(compile(scope, a)?))),
        Ast::IsTrue(a) => truth(scope, a, true),
        Ast::IsNotTrue(a) => Ok(not(truth(scope, a, true)?)),
        Ast::IsFalse(a) => truth(scope, a, false),
        Ast::IsNotFalse(a) => Ok(not(truth(scope, a, false)?)),
        Ast::Between { expr, negated, low, high } => {
            let (x, low, high) = (compile(scope, expr)?, compile(scope, low)?, compile(scope, high)?);
            let above = at(scope, ast, typing::compare(Comparison::GreaterOrEqual, x.clone(), low))?;
            let below = at(scope, ast, typing::compare(Comparison::LessOrEqual, x, high))?;
            let inside = both(above, below);
            Ok(if *negated { not(inside) } else { inside })
        }
        Ast::InList { expr, list, negated } => {
            let x = compile(scope, expr)?;
            bounded(scope, ast, &x, list.len())?;
            let mut equals = Vec::new();
            for item in list {
                let item = compile(scope, item)?;
                equals.push(at(scope, ast, typing::compare(Comparison::Equal, x.clone(), item))?);
            }
            let Some(any) = any(equals) else { return refuse(scope, ast, "IN needs at least one value", None) };
            Ok(if *negated { not(any) } else { any })
        }
        Ast::Case { operand, conditions, else_result, .. } => {
            case(scope, ast, operand.as_deref(), conditions, else_result.as_deref())
        }
        Ast::Cast { kind, expr, data_type, .. } => {
            if !matches!(kind, CastKind::Cast | CastKind::DoubleColon) {
                return refuse(scope, ast, "only CAST(x AS type) is known", None);
            }
            let ty = at(scope, ast, data_type_of(data_type))?;
            let inner = compile(scope, expr)?;
            let exact = if is_cast(scope, expr) { None } else { exactly(scope, &inner, whole(ty)) };
            match exact {
                Some(exact) if exact.ty == ty => Ok(exact),
                exact => at(scope, ast, typing::cast(exact.unwrap_or(inner), ty)),
            }
        }
        Ast::Function(function) => call(scope, ast, function),
        Ast::Interval(_) => refuse(scope, ast, "an interval stands only in a window", None),
        _ => refuse(
            scope,
            ast,
            "this is not part of what a pipeline can say",
            Some(
                "known are + - * /, comparisons, AND, OR, NOT, BETWEEN, IN, IS NULL, CASE, CAST, abs, sqrt, coalesce, nullif",
            ),
        ),
    }
}

/// Whether something is a CAST, whatever becomes of its sign: that has rounded already, also a double to a double.
fn is_cast(scope: &impl Scope, ast: &Ast) -> bool {
    match ast {
        Ast::Cast { .. } => true,
        Ast::Nested(inner) | Ast::UnaryOp { expr: inner, .. } => is_cast(scope, inner),
        Ast::Function(function) if function.name.to_string().eq_ignore_ascii_case("abs") => {
            arguments(scope, function).is_ok_and(|values| values.iter().any(|value| is_cast(scope, value)))
        }
        _ => false,
    }
}

/// The decimal that has all values of an integer type, and none between them; every other type is itself.
fn whole(ty: Type) -> Type {
    match ty {
        Type::I64 => Type::Decimal { precision: 19, scale: 0 },
        Type::U64 => Type::Decimal { precision: 20, scale: 0 },
        other => other,
    }
}

/// A quotient of exact numbers, whatever its sign, as the decimal that a CAST asks for: rounded once and not on the way.
/// None for everything else.
fn exactly(scope: &mut impl Scope, expr: &Expr, ty: Type) -> Option<Expr> {
    if expr.ty != Type::Float64 || !matches!(ty, Type::Decimal { .. }) {
        return None;
    }
    let node = match &expr.node {
        Node::Divide(..) => expr.node.clone(),
        // Rounding half to even knows no sign.
        Node::Negate(inner) => Node::Negate(Box::new(exactly(scope, inner, ty)?)),
        Node::Absolute(inner) => Node::Absolute(Box::new(exactly(scope, inner, ty)?)),
        Node::Input(_) => return scope.recast(expr, ty),
        _ => return None,
    };
    Some(Expr { ty, nullable: true, node })
}

pub(super) fn refuse<T>(scope: &impl Scope, ast: &impl Piece, message: &str, help: Option<&str>) -> Outcome<T> {
    let span = place::of(scope.sql(), ast);
    Err(SqlError { span, message: message.to_string(), help: help.map(str::to_string) })
}

/// A refusal, put where it belongs.
pub(super) fn at<T>(scope: &impl Scope, ast: &impl Piece, outcome: Result<T, Refused>) -> Outcome<T> {
    outcome.map_err(|(message, help)| SqlError { span: place::of(scope.sql(), ast), message, help })
}

pub(super) fn is_null(a: Expr) -> Expr {
    if !a.nullable {
        return Expr::literal(Type::Bool, slackwater_core::value::Value::Bool(false).to_scalar());
    }
    make(Type::Bool, false, Node::IsNull(Box::new(a)))
}

pub(super) fn not(a: Expr) -> Expr {
    let nullable = a.nullable;
    make(Type::Bool, nullable, Node::Not(Box::new(a)))
}

fn both(a: Expr, b: Expr) -> Expr {
    let nullable = a.nullable || b.nullable;
    make(Type::Bool, nullable, Node::And(Box::new(a), Box::new(b)))
}

fn either(a: Expr, b: Expr) -> Expr {
    let nullable = a.nullable || b.nullable;
    make(Type::Bool, nullable, Node::Or(Box::new(a), Box::new(b)))
}

/// Any of the conditions, halved again and again: a long list is no deep expression.
fn any(mut conditions: Vec<Expr>) -> Option<Expr> {
    if conditions.len() < 2 {
        return conditions.pop();
    }
    let second = conditions.split_off(conditions.len() / 2);
    Some(either(any(conditions)?, any(second)?))
}

/// Whether a condition is true (or false), null being neither.
fn truth(scope: &mut impl Scope, ast: &Ast, wanted: bool) -> Outcome<Expr> {
    let condition = boolean(scope, ast)?;
    let condition = if wanted { condition } else { not(condition) };
    Ok(if condition.nullable { both(not(is_null(condition.clone())), condition) } else { condition })
}

/// A condition.
pub(super) fn boolean(scope: &mut impl Scope, ast: &Ast) -> Outcome<Expr> {
    let expr = compile(scope, ast)?;
    if expr.ty != Type::Bool {
        let message = format!("a condition must be true or false, and this is {}", expr.ty);
        return refuse(scope, ast, &message, Some("write a comparison: price > 0"));
    }
    Ok(expr)
}

fn unary(scope: &mut impl Scope, ast: &Ast, op: UnaryOperator, inner: &Ast) -> Outcome<Expr> {
    match op {
        UnaryOperator::Not => Ok(not(boolean(scope, inner)?)),
        UnaryOperator::Plus | UnaryOperator::Minus => {
            let a = compile(scope, inner)?;
            if !a.ty.is_numeric() {
                return refuse(scope, ast, &format!("a sign needs a number, and this is {}", a.ty), None);
            }
            Ok(if op == UnaryOperator::Plus { a } else { signless(a, Node::Negate) })
        }
        _ => refuse(scope, ast, &format!("the operator {op} is not part of what a pipeline can say"), None),
    }
}

/// A number without regard to its sign: integers become decimals, whose range has room for the other sign.
fn signless(a: Expr, node: impl FnOnce(Box<Expr>) -> Node) -> Expr {
    let ty = match a.ty.exact() {
        Some((precision, scale)) => Type::Decimal { precision, scale },
        None => a.ty,
    };
    let nullable = a.nullable;
    make(ty, nullable, node(Box::new(a)))
}

fn binary(scope: &mut impl Scope, ast: &Ast, left: &Ast, op: &BinaryOperator, right: &Ast) -> Outcome<Expr> {
    let comparison = match op {
        BinaryOperator::Eq => Some(Comparison::Equal),
        BinaryOperator::NotEq => Some(Comparison::NotEqual),
        BinaryOperator::Lt => Some(Comparison::Less),
        BinaryOperator::LtEq => Some(Comparison::LessOrEqual),
        BinaryOperator::Gt => Some(Comparison::Greater),
        BinaryOperator::GtEq => Some(Comparison::GreaterOrEqual),
        _ => None,
    };
    if let Some(comparison) = comparison {
        let (a, b) = (compile(scope, left)?, compile(scope, right)?);
        return at(scope, ast, typing::compare(comparison, a, b));
    }
    let arithmetic = match op {
        BinaryOperator::And => return Ok(both(boolean(scope, left)?, boolean(scope, right)?)),
        BinaryOperator::Or => return Ok(either(boolean(scope, left)?, boolean(scope, right)?)),
        BinaryOperator::Plus => Arithmetic::Add,
        BinaryOperator::Minus => Arithmetic::Subtract,
        BinaryOperator::Multiply => Arithmetic::Multiply,
        BinaryOperator::Divide => Arithmetic::Divide,
        _ => {
            let message = format!("the operator {op} is not part of what a pipeline can say");
            return refuse(scope, ast, &message, Some("known are + - * /, comparisons, AND and OR"));
        }
    };
    let (a, b) = (compile(scope, left)?, compile(scope, right)?);
    let digits = scope.digits();
    at(scope, ast, typing::arithmetic(arithmetic, a, b, digits))
}

fn case(
    scope: &mut impl Scope,
    ast: &Ast,
    operand: Option<&Ast>,
    conditions: &[CaseWhen],
    otherwise: Option<&Ast>,
) -> Outcome<Expr> {
    let operand = operand.map(|operand| compile(scope, operand)).transpose()?;
    if let Some(operand) = &operand {
        bounded(scope, ast, operand, conditions.len())?;
    }
    let (mut tests, mut values) = (Vec::new(), Vec::new());
    for branch in conditions {
        tests.push(match &operand {
            None => boolean(scope, &branch.condition)?,
            Some(operand) => {
                let value = compile(scope, &branch.condition)?;
                at(scope, ast, typing::compare(Comparison::Equal, operand.clone(), value))?
            }
        });
        values.push(compile(scope, &branch.result)?);
    }
    values.push(match otherwise {
        Some(otherwise) => compile(scope, otherwise)?,
        None => Expr::literal(Type::Bool, slackwater_core::value::Scalar::NULL),
    });
    branches(scope, ast, tests, values)
}

/// CASE over typed parts; the last value is the ELSE.
fn branches(scope: &impl Scope, ast: &Ast, tests: Vec<Expr>, values: Vec<Expr>) -> Outcome<Expr> {
    let mut values = at(scope, ast, typing::unify(values, scope.digits()))?;
    let (ty, nullable) = (values[0].ty, values.iter().any(|value| value.nullable));
    let otherwise = values.pop().expect("a CASE has its ELSE");
    let branches = tests.into_iter().zip(values).collect();
    Ok(Expr { ty, nullable, node: Node::Case(branches, Box::new(otherwise)) })
}

/// A value where a condition holds, null elsewhere.
pub(super) fn only_where(condition: Expr, value: Expr) -> Expr {
    let ty = value.ty;
    let null = typing::coerce(Expr::literal(Type::Bool, slackwater_core::value::Scalar::NULL), ty);
    Expr { ty, nullable: true, node: Node::Case(vec![(condition, value)], Box::new(null)) }
}

/// The plain arguments of a call.
pub(super) fn arguments<'a>(scope: &impl Scope, function: &'a Function) -> Outcome<Vec<&'a Ast>> {
    let list: &[FunctionArg] = match &function.args {
        FunctionArguments::List(list) => &list.args,
        _ => &[],
    };
    let plain = |argument: &'a FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        _ => refuse(scope, function, "an argument here is an expression", None),
    };
    list.iter().map(plain).collect()
}

fn call(scope: &mut impl Scope, ast: &Ast, function: &Function) -> Outcome<Expr> {
    let name = function.name.to_string().to_lowercase();
    let span = place::of(scope.sql(), ast);
    if !SCALARS.contains(&name.as_str()) {
        return scope.call(&name, function, span);
    }
    let plain = match &function.args {
        FunctionArguments::List(list) => list.duplicate_treatment.is_none() && list.clauses.is_empty(),
        _ => true,
    };
    let more = function.filter.is_some() || function.over.is_some() || function.null_treatment.is_some();
    if more || !plain || !function.within_group.is_empty() {
        return refuse(scope, ast, &format!("{name}() takes arguments only: no DISTINCT, FILTER or OVER"), None);
    }
    let mut values = Vec::new();
    for argument in arguments(scope, function)? {
        values.push(compile(scope, argument)?);
    }
    match (name.as_str(), values.len()) {
        ("abs", 1) if values[0].ty.is_numeric() => Ok(signless(values.remove(0), Node::Absolute)),
        ("sqrt", 1) if values[0].ty.is_numeric() => {
            Ok(make(Type::Float64, true, Node::SquareRoot(Box::new(values.remove(0)))))
        }
        ("abs" | "sqrt", 1) => {
            refuse(scope, ast, &format!("{name}() needs a number, and this is {}", values[0].ty), None)
        }
        ("coalesce", 2..) => {
            let tests = values[..values.len() - 1].iter().map(|value| not(is_null(value.clone()))).collect();
            let last_is_sure = values.last().is_some_and(|last| !last.nullable);
            let mut expr = branches(scope, ast, tests, values)?;
            expr.nullable = !last_is_sure;
            Ok(expr)
        }
        ("nullif", 2) => {
            let b = values.remove(1);
            let a = values.remove(0);
            let equal = at(scope, ast, typing::compare(Comparison::Equal, a.clone(), b))?;
            let null = Expr::literal(Type::Bool, slackwater_core::value::Scalar::NULL);
            branches(scope, ast, vec![equal], vec![null, a])
        }
        (_, count) => refuse(scope, ast, &format!("{name}() does not take {count} arguments"), None),
    }
}

/// The type that a CAST names.
fn data_type_of(data_type: &DataType) -> Result<Type, Refused> {
    let decimal = |info: &ExactNumberInfo| match info {
        ExactNumberInfo::PrecisionAndScale(p, s) if (1..=38).contains(p) && (0..=*p as i64).contains(s) => {
            Ok(Type::Decimal { precision: *p as u8, scale: *s as u8 })
        }
        ExactNumberInfo::Precision(p) if (1..=38).contains(p) => Ok(Type::Decimal { precision: *p as u8, scale: 0 }),
        _ => Err((
            "a decimal has 1 to 38 digits, and no more of them behind the point".to_string(),
            Some("write DECIMAL(18, 8)".to_string()),
        )),
    };
    match data_type {
        DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) => decimal(info),
        DataType::Double(_) | DataType::DoublePrecision | DataType::Float64 => Ok(Type::Float64),
        DataType::BigInt(_) | DataType::Int64 | DataType::Int8(_) => Ok(Type::I64),
        DataType::BigIntUnsigned(_) | DataType::UBigInt | DataType::UInt64 => Ok(Type::U64),
        DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithTimeZone) => Ok(Type::Timestamp),
        DataType::Custom(name, args) => match (name.to_string().to_lowercase().as_str(), args.is_empty()) {
            ("u64", true) => Ok(Type::U64),
            ("i64", true) => Ok(Type::I64),
            ("float64", true) => Ok(Type::Float64),
            _ => Err(unknown_type(&name.to_string())),
        },
        other => Err(unknown_type(&other.to_string())),
    }
}

fn unknown_type(name: &str) -> Refused {
    let help = "CAST knows DECIMAL(p, s), DOUBLE PRECISION, BIGINT, i64, u64 and float64".to_string();
    (format!("{name} is no type to cast to"), Some(help))
}

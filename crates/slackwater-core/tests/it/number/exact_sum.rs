//! `ExactSum` against `BigInt`, and against the wide integer that it stands for.

use num_bigint::BigInt;
use proptest::prelude::*;
use slackwater_core::number::{ExactSum, I384};

use super::{any_i128, any_integer, big, cases, i384};

fn encoded(sum: &ExactSum) -> Vec<u8> {
    let mut bytes = Vec::new();
    sum.encode(&mut bytes);
    bytes
}

/// Everything that can be asked of a sum, against what it is worth.
fn check(sum: &ExactSum, worth: &BigInt) {
    let total = i384(worth).expect("it fits");
    assert_eq!(big(&sum.total()), *worth);
    assert_eq!(sum.to_i128(), total.to_i128());
    let mut bytes = Vec::new();
    total.encode(&mut bytes);
    assert_eq!(encoded(sum), bytes);
    let (read, used) = ExactSum::decode(&bytes).expect("what was written");
    assert_eq!((read.total(), used), (total, bytes.len()));
}

#[derive(Clone, Debug)]
enum Term {
    Narrow(i128),
    Wide(BigInt),
}

fn any_term() -> impl Strategy<Value = Term> {
    // Those at the edge of 128 bits are what a sum spills over.
    let edges = prop_oneof![Just(i128::MAX), Just(i128::MIN), Just(i128::MAX / 2), any_i128()];
    prop_oneof![3 => edges.prop_map(Term::Narrow), 1 => any_integer(370).prop_map(Term::Wide)]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_sum_is_worth_its_terms_however_they_come(terms in proptest::collection::vec((any_term(), any::<bool>()), 0..40)) {
        let (mut sum, mut worth) = (ExactSum::default(), BigInt::from(0));
        let mut halves = [ExactSum::default(), ExactSum::default()];
        for (number, (term, added)) in terms.iter().enumerate() {
            let half = &mut halves[number % 2];
            match (term, added) {
                (Term::Narrow(term), true) => { sum.add_i128(*term); half.add_i128(*term); worth += *term; }
                (Term::Narrow(term), false) => { sum.sub_i128(*term); half.sub_i128(*term); worth -= *term; }
                (Term::Wide(term), added) => {
                    let wide: I384 = i384(term).unwrap();
                    if *added { sum.add(&wide); half.add(&wide); worth += term; } else { sum.sub(&wide); half.sub(&wide); worth -= term; }
                }
            }
            check(&sum, &worth);
        }
        let [mut first, second] = halves;
        first.merge(&second);
        check(&first, &worth);
    }
}

//! A place off the hosts that has nothing yet.

use keyroll::op::custody::{Choice, Custody, CustodyError, Deposit, Found, Incoming, Parcel};
use keyroll::secret::Secret;

pub(super) struct Empty {
    pub(super) asked: bool,
}

impl Custody for Empty {
    fn choice(&self) -> Choice {
        if self.asked {
            Choice::Keep
        } else {
            Choice::Unsaid
        }
    }

    fn holds(&self, _: &Deposit) -> Result<bool, CustodyError> {
        Ok(false)
    }

    fn keep(&self, _: &Deposit) -> Result<String, CustodyError> {
        unreachable!("nothing is performed")
    }

    fn seal(&self, _: &Secret) -> Result<Vec<u8>, CustodyError> {
        Ok(b"age-encryption.org/v1".to_vec())
    }

    fn fetches(&self) -> bool {
        true
    }

    fn has(&self, _: &Parcel) -> Result<bool, CustodyError> {
        Ok(false)
    }

    fn receive(&self, _: &Parcel, _: &Found) -> Result<Box<dyn Incoming>, CustodyError> {
        unreachable!("nothing is performed")
    }
}

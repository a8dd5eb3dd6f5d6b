//! Signatures, and the randomness of a response.

use keyfob_core::{
    Status,
    auth_data::Flags,
    bytes,
    cose::Algorithm,
    crypto::{self, Hash, Sign},
};
use zeroize::Zeroize;

use super::{
    Platform,
    authenticator::{Authenticator, crypto_status},
};
use crate::caps::Caps;

impl<P: Platform> Authenticator<'_, P> {
    /// Draws the random bytes that the response takes. It comes before the commit, so that a random source that fails has
    /// changed nothing.
    pub fn draw_randomness(&mut self) -> Result<(), Status> {
        if self.config.hedged_signatures || self.salts.is_some() {
            crypto::fill_random(&mut self.rng, &mut self.work.random).map_err(crypto_status)?;
        }
        Ok(())
    }

    /// The IV under which outputs of `hmac-secret` are encrypted: a hash of the random bytes, because the IV is public,
    /// and the bytes that hedge the signature are not.
    pub fn response_iv(&self) -> [u8; 16] {
        bytes::array(&self.crypto.sha256(&[b"IV", &self.work.random]))
    }

    /// Checks authenticator data again before it is signed: the relying party and the flags have to be those of the
    /// checks that were passed, and the evidence for the flags has to hold.
    pub fn look_again(&self, auth_data: &[u8]) -> Result<(), Status> {
        let (rp_id_hash, rest) = auth_data.split_first_chunk::<32>().ok_or(Status::OTHER)?;
        let flags = Flags(*rest.first().ok_or(Status::OTHER)?);
        let intact = *rp_id_hash == self.work.rp_id_hash
            && flags.has(Flags::UP) == self.work.is_present()
            && flags.has(Flags::UV) == self.work.is_verified();
        if intact { Ok(()) } else { Err(Status::OTHER) }
    }

    /// Signs `message` and returns the signature's length. With [`Caps::SIGNATURE_CHECK`] a signature that does not verify
    /// is wiped, and the command fails.
    #[inline(never)]
    pub fn sign(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        signature: &mut [u8],
    ) -> Result<usize, Status> {
        let hedge = self.config.hedged_signatures.then_some(&self.work.random);
        let signed = self.crypto.sign_hedged(algorithm, secret, message, hedge, signature);
        let len = signed.map_err(crypto_status)?;
        if self.has(Caps::SIGNATURE_CHECK) {
            let made = signature.get(..len).ok_or(Status::OTHER)?;
            if let Err(error) = self.crypto.check_signature(algorithm, secret, message, made) {
                signature.zeroize();
                return Err(crypto_status(error));
            }
        }
        Ok(len)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use keyfob_core::{
        Instant,
        cbor::List,
        ctap1::{self, Control},
        ctap2::{
            self, Command, CredentialParameters, RpEntity, UserEntity, get_assertion,
            make_credential::{self, Options},
        },
    };
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::{
        devices::{VirtualCrypto, VirtualPlatform},
        engine::{
            Config, Engine, Event, Progress, Wait,
            authenticator::Work,
            proof::{STEPS, UserPresent},
        },
        store::MemoryStore,
    };

    /// What a fault alters before which step.
    type Fault = (u8, fn(&mut Work));

    const HASH: [u8; 32] = [7; 32];
    const CONFIG: Config<'static> = Config::new([0; 16]);

    fn engine(buffer: &mut [u8]) -> Engine<'_, VirtualPlatform> {
        let rng = ChaCha20Rng::seed_from_u64(1);
        let store: Box<dyn crate::store::Store + Send> = Box::new(MemoryStore::<4>::new());
        Engine::new(buffer, CONFIG, VirtualCrypto::default(), rng, store, Instant::default()).unwrap()
    }

    /// Runs a command with a touch; a fault alters its memory before the atom that signs. The first byte of the answer.
    fn answer(engine: &mut Engine<'_, VirtualPlatform>, mut progress: Progress, fault: Option<Fault>) -> u8 {
        loop {
            let event = match progress {
                Progress::Reply(_) => return engine.buffer()[0],
                Progress::Pending(Wait::Touch) => Event::Touched,
                Progress::Pending(_) => Event::Tick,
            };
            if let Some((step, alter)) = fault
                && event == Event::Tick
                && engine.authenticator.work.step == step
            {
                alter(&mut engine.authenticator.work);
            }
            progress = engine.resume(Instant::default(), event);
        }
    }

    fn run<T: keyfob_core::cbor::Write>(
        engine: &mut Engine<'_, VirtualPlatform>,
        (command, request): (Command, &T),
        fault: Option<Fault>,
    ) -> u8 {
        let len = ctap2::encode_request(command, request, engine.buffer()).unwrap();
        let progress = engine.begin(Instant::default(), len);
        answer(engine, progress, fault)
    }

    #[test]
    fn evidence_of_a_touch_that_is_altered_before_the_signature_signs_nothing() {
        let mut buffer = vec![0; CONFIG.buffer_len()];
        let mut engine = engine(&mut buffer);
        let register = make_credential::Request {
            client_data_hash: &HASH,
            rp: RpEntity { id: "example.com", name: None },
            user: UserEntity { id: b"u", name: None, display_name: None },
            pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
            exclude_list: None,
            extensions: None,
            options: Some(Options { rk: Some(true), ..Options::default() }),
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        let sign_in = get_assertion::Request {
            rp_id: "example.com",
            client_data_hash: &HASH,
            allow_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let break_it: fn(&mut Work) = |work| work.user_present = Some(UserPresent::broken());
        let (register, sign_in) = ((Command::MAKE_CREDENTIAL, &register), (Command::GET_ASSERTION, &sign_in));
        assert_eq!(run(&mut engine, register, None), Status::OK.0);
        assert_eq!(run(&mut engine, register, Some((STEPS[2], break_it))), Status::OTHER.0);
        assert_eq!(run(&mut engine, sign_in, Some((STEPS[1], break_it))), Status::OTHER.0);
        assert_eq!(run(&mut engine, sign_in, None), Status::OK.0);
        // The other half of the second look: authenticator data of another relying party.
        assert_eq!(engine.authenticator.look_again(&[1; 37]), Err(Status::OTHER));
    }

    #[test]
    fn evidence_of_a_touch_that_is_altered_before_a_u2f_registration_signs_nothing() {
        let mut buffer = vec![0; CONFIG.buffer_len()];
        let mut engine = engine(&mut buffer);
        let request = ctap1::Request::Register { control: Control::NONE, challenge: &HASH, application: &HASH };
        let mut first_byte = |fault| {
            for _ in 0..2 {
                let len = request.encode(engine.buffer()).unwrap();
                let progress = engine.begin_u2f(Instant::default(), len);
                let answered = answer(&mut engine, progress, fault);
                if !engine.u2f_awaits_touch(Instant::default()) {
                    return answered;
                }
                engine.touch_for_u2f(Instant::default(), true);
            }
            0
        };
        assert_eq!(first_byte(None), 5, "a registration");
        assert_eq!(first_byte(Some((STEPS[2], |work| work.user_present = Some(UserPresent::broken())))), 0x6F);
    }
}

//! PIN, built-in user verification and tokens of the small authenticator.

use super::*;

impl<C: Crypto> Device<C> {
    pub(super) fn client_pin(&mut self, request: &client_pin::Request, out: &mut [u8]) -> Result<usize, Status> {
        let secret = P256Secret([7; 32]);
        let public = self.crypto.p256_public(&secret).unwrap();
        let mut response = client_pin::Response::default();
        let mut encrypted = [0; 256];
        let sub_command = request.sub_command.unwrap();
        match sub_command {
            subcommand::GET_PIN_RETRIES => {
                response.pin_retries = Some(self.retries);
                response.power_cycle_state = Some(self.strikes >= 3);
            }
            subcommand::GET_UV_RETRIES => response.uv_retries = Some(self.uv_retries),
            subcommand::GET_KEY_AGREEMENT => {
                assert!(request.pin_uv_auth_protocol.is_some());
                response.key_agreement = Some(CoseKey::key_agreement(&public));
            }
            _ => {
                let protocol = request.pin_uv_auth_protocol.and_then(PinUvAuthProtocol::from_number);
                let protocol = protocol.ok_or(Status::INVALID_PARAMETER)?;
                if let subcommand::SET_PIN | subcommand::CHANGE_PIN = sub_command {
                    return self.new_pin(request, protocol, &secret, out);
                }
                self.permissions.extend(request.permissions);
                let with_permissions = self.options.pin_uv_auth_token == Some(true);
                if request.permissions.is_some() != with_permissions
                    || request.rp_id != self.rp_id.filter(|_| with_permissions)
                {
                    return Err(Status::INVALID_PARAMETER);
                }
                let key = request.key_agreement.unwrap();
                let shared = decapsulate(&self.crypto, protocol, &secret, &key).unwrap();
                if sub_command == subcommand::GET_TOKEN_USING_UV {
                    if self.uv_retries == 0 {
                        return Err(Status::UV_BLOCKED);
                    }
                    if let Some(status) = self.uv.pop_front() {
                        self.uv_retries -= 1;
                        return Err(status);
                    }
                } else {
                    self.check_pin(&shared, request.pin_hash_enc.unwrap())?;
                }
                let random = Token::generate(&mut self.rng).unwrap();
                let token = self.token_bytes.clone().unwrap_or(random.as_bytes().to_vec());
                let len = shared.encrypt(&self.crypto, &mut self.rng, &token, &mut encrypted).unwrap();
                response.pin_uv_auth_token = Some(&encrypted[..len]);
                self.token = Some((protocol, token));
            }
        }
        Ok(encode_response(&response, out).unwrap())
    }

    fn check_pin(&mut self, shared: &SharedSecret, pin_hash_enc: &[u8]) -> Result<(), Status> {
        if self.retries == 0 {
            return Err(Status::PIN_BLOCKED);
        }
        if self.strikes >= 3 {
            return Err(Status::PIN_AUTH_BLOCKED);
        }
        let mut hash = [0; 16];
        let len = shared.decrypt(&self.crypto, pin_hash_enc, &mut hash).unwrap();
        self.retries -= 1;
        if !PinHash::of(&self.crypto, self.pin.as_bytes()).matches(&hash[..len]) {
            self.strikes += 1;
            return Err(match (self.retries, self.strikes) {
                (0, _) => Status::PIN_BLOCKED,
                (_, 3..) => Status::PIN_AUTH_BLOCKED,
                _ => Status::PIN_INVALID,
            });
        }
        self.retries = 8;
        self.strikes = 0;
        Ok(())
    }

    fn new_pin(
        &mut self,
        request: &client_pin::Request,
        protocol: PinUvAuthProtocol,
        secret: &P256Secret,
        out: &mut [u8],
    ) -> Result<usize, Status> {
        let shared = decapsulate(&self.crypto, protocol, secret, &request.key_agreement.unwrap()).unwrap();
        let new_pin_enc = request.new_pin_enc.unwrap();
        let message = [new_pin_enc, request.pin_hash_enc.unwrap_or_default()];
        if !shared.verify(&self.crypto, &message, request.pin_uv_auth_param.unwrap()) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        if let Some(hash) = request.pin_hash_enc {
            self.check_pin(&shared, hash)?;
        }
        if let Some(status) = self.refusals.pop_front() {
            return Err(status);
        }
        let mut padded = [0; 64];
        assert_eq!(shared.decrypt(&self.crypto, new_pin_enc, &mut padded), Ok(64));
        let pin = std::str::from_utf8(&padded).unwrap().trim_end_matches('\0');
        self.pin = Box::leak(pin.to_owned().into_boxed_str());
        self.options.client_pin = Some(true);
        out[0] = Status::OK.0;
        Ok(1)
    }
}

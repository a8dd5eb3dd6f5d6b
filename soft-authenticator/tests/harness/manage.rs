//! The platform's side of credential management, large blobs and configuration, and requests with one wrong member.

use keyfob_core::{
    Status,
    cbor::{self, RawMap, Write},
    cose::CoseKey,
    crypto::{Hash, RustCrypto},
    ctap2::{
        self, Command, client_pin, config, credential_management as cred_mgmt,
        get_info::{Response, SupportedOptions},
        large_blobs,
    },
    pin_uv::{self, PaddedPin, Permissions, PinUvAuthProtocol::Two, Token},
};
use keyfob_soft_authenticator::{
    devices::virtual_key_certificate,
    engine::{Config, Enterprise},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{Key, PIN, message, status};

pub const CM: Permissions = Permissions::CM;
pub const LBW: Permissions = Permissions::LBW;
pub const ACFG: Permissions = Permissions::ACFG;
pub const PCMR: Permissions = Permissions::PCMR;

/// A key with everything that authenticatorConfig can configure.
pub const MANAGED: Config<'static> = Config {
    enterprise: Some(Enterprise { certified: virtual_key_certificate(), rp_ids: &[] }),
    ..Config::new([0xAA; 16])
};

/// Encodes a map.
pub fn encoded<T: Write>(value: &T) -> Vec<u8> {
    let mut buffer = vec![0; 8192];
    let len = cbor::encode(value, &mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

/// An encoded RP or user with a name, with the member `icon` added, which version 2.1 removed.
pub fn with_icon(entity: &[u8], icon: &[u8]) -> Vec<u8> {
    let name = entity.windows(5).position(|window| window == b"\x64name").unwrap();
    [&[entity[0] + 1], &entity[1..name], b"\x64icon", icon, &entity[name..]].concat()
}

impl Key {
    /// A token with `permissions` that is not bound to a relying party, with protocol two.
    pub fn unbound(&mut self, permissions: Permissions) -> Token {
        self.token(Two, PIN, permissions, None).unwrap()
    }

    /// The persistent token.
    pub fn persistent(&mut self) -> Token {
        self.unbound(PCMR)
    }

    /// A subcommand of credential management with a pinUvAuthParam by `token`.
    pub fn manage(&mut self, token: &Token, sub_command: u32, params: Option<&[u8]>) -> Vec<u8> {
        self.call(&manage_message(token, sub_command, params))
    }

    /// The id and the user's name of a relying party's newest credential.
    pub fn manage_users_of(&mut self, rp_id: &str) -> (Vec<u8>, Option<String>) {
        let token = self.persistent();
        let hash = super::rp_id_hash(rp_id);
        let params = encoded(&cred_mgmt::Params { rp_id_hash: Some(&hash), ..Default::default() });
        let response = self.manage(&token, cred_mgmt::subcommand::ENUMERATE_CREDENTIALS_BEGIN, Some(&params));
        let response: cred_mgmt::Response<'_> = ctap2::decode_response(&response).unwrap();
        let name = response.user.and_then(|user| user.name).map(Into::into);
        (response.credential_id.unwrap().id.to_vec(), name)
    }

    /// A subcommand without a pinUvAuthParam.
    pub fn manage_next(&mut self, sub_command: u32) -> Vec<u8> {
        self.call(&[Command::CREDENTIAL_MANAGEMENT.0, 0xA1, 0x01, sub_command as u8])
    }

    /// A subcommand of authenticatorConfig.
    pub fn configure(&mut self, token: Option<&Token>, sub_command: u32, params: Option<&[u8]>) -> Status {
        self.status(&config_message(token, sub_command, params))
    }

    pub fn set_min_pin_length(&mut self, token: Option<&Token>, params: &config::SetMinPinLength<'_>) -> Status {
        self.configure(token, config::subcommand::SET_MIN_PIN_LENGTH, Some(&encoded(params)))
    }

    /// Reads the large-blob array.
    pub fn read_blobs(&mut self, offset: u32, get: u32) -> Result<Vec<u8>, Status> {
        let request = large_blobs::Request { get: Some(get), offset: Some(offset), ..Default::default() };
        let response = self.call(&message(Command::LARGE_BLOBS, &request));
        if response[0] != 0 {
            return Err(status(&response));
        }
        let response: large_blobs::Response<'_> = ctap2::decode_response(&response).unwrap();
        Ok(response.config.unwrap().to_vec())
    }

    /// Writes one fragment of the large-blob array.
    pub fn write_fragment(&mut self, token: Option<&Token>, offset: u32, set: &[u8], length: Option<u32>) -> Status {
        self.status(&fragment_message(token, offset, set, length))
    }

    pub fn info<T>(&mut self, look: impl FnOnce(&Response<'_>) -> T) -> T {
        let response = self.command(Command::GET_INFO);
        look(&ctap2::decode_response(&response).unwrap())
    }

    pub fn options(&mut self) -> SupportedOptions {
        self.info(|info| info.options.unwrap())
    }
}

pub fn manage_message(token: &Token, sub_command: u32, params: Option<&[u8]>) -> Vec<u8> {
    let head = cred_mgmt::authenticated_head(sub_command);
    let param = token.authenticate(&RustCrypto, Two, &[&head, params.unwrap_or_default()]);
    message(
        Command::CREDENTIAL_MANAGEMENT,
        &cred_mgmt::Request {
            sub_command,
            sub_command_params: params.map(RawMap),
            pin_uv_auth_protocol: Some(2),
            pin_uv_auth_param: Some(param.as_bytes()),
        },
    )
}

pub fn config_message(token: Option<&Token>, sub_command: u32, params: Option<&[u8]>) -> Vec<u8> {
    let head = config::authenticated_head(sub_command);
    let param = token.map(|token| token.authenticate(&RustCrypto, Two, &[&head, params.unwrap_or_default()]));
    message(
        Command::CONFIG,
        &config::Request {
            sub_command,
            sub_command_params: params.map(RawMap),
            pin_uv_auth_protocol: token.map(|_| 2),
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
        },
    )
}

pub fn fragment_message(token: Option<&Token>, offset: u32, set: &[u8], length: Option<u32>) -> Vec<u8> {
    let head = large_blobs::authenticated_head(offset);
    let param = token.map(|token| token.authenticate(&RustCrypto, Two, &[&head, &RustCrypto.sha256(&[set])]));
    message(
        Command::LARGE_BLOBS,
        &large_blobs::Request {
            set: Some(set),
            offset: Some(offset),
            length,
            pin_uv_auth_param: param.as_ref().map(|param| param.as_bytes()),
            pin_uv_auth_protocol: token.map(|_| 2),
            ..Default::default()
        },
    )
}

/// An array with its hash, `len` bytes in total.
pub fn blob_array(len: usize) -> Vec<u8> {
    let mut array: Vec<u8> = (0..len - large_blobs::HASH_LENGTH).map(|index| index as u8).collect();
    let hash = RustCrypto.sha256(&[&array]);
    array.extend(&hash[..large_blobs::HASH_LENGTH]);
    array
}

/// A setPIN of `pin` with protocol two, for any authenticator behind `call`.
pub fn set_pin_message(call: &mut impl FnMut(&[u8]) -> Vec<u8>, pin: &str) -> Vec<u8> {
    let agree = call(&[0x06, 0xA2, 1, 2, 2, 2]);
    let agree: client_pin::Response<'_> = ctap2::decode_response(&agree).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (point, shared) = pin_uv::encapsulate(&RustCrypto, &mut rng, Two, &agree.key_agreement.unwrap()).unwrap();
    let mut new_pin_enc = [0; 80];
    shared.encrypt(&RustCrypto, &mut rng, PaddedPin::new(pin, 4).unwrap().as_bytes(), &mut new_pin_enc).unwrap();
    let param = shared.authenticate(&RustCrypto, &[&new_pin_enc]);
    let request = client_pin::Request {
        pin_uv_auth_protocol: Some(2),
        sub_command: Some(client_pin::subcommand::SET_PIN),
        key_agreement: Some(CoseKey::key_agreement(&point)),
        pin_uv_auth_param: Some(param.as_bytes()),
        new_pin_enc: Some(&new_pin_enc),
        ..Default::default()
    };
    message(Command::CLIENT_PIN, &request)
}

/// All maps with `members`, encoded values by their integer keys, in which one member has a wrong type.
pub fn each_of_a_wrong_type(members: &[(u8, &[u8])]) -> Vec<Vec<u8>> {
    // An unsigned and a negative integer, bytes, text, a list, a map, a simple value.
    let items: [&[u8]; 7] = [&[0], &[0x20], &[0x41, 1], &[0x61, b'a'], &[0x81, 0], &[0xA0], &[0xF5]];
    let mut maps = Vec::new();
    for (wrong, (_, right)) in members.iter().enumerate() {
        for item in items.iter().filter(|item| item[0] >> 5 != right[0] >> 5) {
            let mut map = vec![0xA0 + members.len() as u8];
            for (index, (key, value)) in members.iter().enumerate() {
                map.push(*key);
                map.extend_from_slice(if index == wrong { item } else { value });
            }
            maps.push(map);
        }
    }
    maps
}

/// Encodes a byte string.
pub fn byte_string(bytes: &[u8]) -> Vec<u8> {
    encoded(&bytes)
}

// The verifier `@simplewebauthn/server`. Its input and output are those of judge.py.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { SettingsService, verifyAuthenticationResponse, verifyRegistrationResponse } = require("@simplewebauthn/server");

const rp = JSON.parse(await text(process.stdin));
for (const identifier of ["packed", "fido-u2f"]) {
  SettingsService.setRootCertificates({ identifier, certificates: [Buffer.from(rp.root, "base64url")] });
}

function expected(ceremony, userVerified) {
  return {
    response: ceremony.credential,
    expectedChallenge: ceremony.challenge,
    expectedOrigin: rp.origin,
    expectedRPID: rp.id,
    requireUserVerification: userVerified,
  };
}

async function register({ algorithm, userVerified }, ceremony) {
  const result = await verifyRegistrationResponse({
    ...expected(ceremony, userVerified),
    supportedAlgorithmIDs: [algorithm],
  });
  if (!result.verified) throw new Error("not verified");
  return result.registrationInfo.credential;
}

async function authenticate({ userVerified }, ceremony, credential) {
  const result = await verifyAuthenticationResponse({ ...expected(ceremony, userVerified), credential });
  if (!result.verified) throw new Error("not verified");
}

for (const each of rp.cases) {
  let credential;
  try {
    credential = await register(each, each.registration);
    await authenticate(each, each.authentication, credential);
  } catch (error) {
    console.log(JSON.stringify({ refused: `${error.name}: ${error.message}` }));
    continue;
  }

  const accepted = [];
  for (const flip of each.flips) {
    const [ceremony, member, place, mask] = flip;
    const flipped = structuredClone(each[ceremony]);
    const data = Buffer.from(flipped.credential.response[member], "base64url");
    data[place] ^= mask;
    flipped.credential.response[member] = data.toString("base64url");
    try {
      await (ceremony === "registration" ? register(each, flipped) : authenticate(each, flipped, credential));
      accepted.push(flip);
    } catch {
      // The same response was accepted without the flip.
    }
  }
  console.log(JSON.stringify({ refused: null, accepted }));
}

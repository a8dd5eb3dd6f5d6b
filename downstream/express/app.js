// A server with passkeys on Express and @simplewebauthn/server. It keeps everything in memory.
//
// POST /register/begin with a name returns the options of navigator.credentials.create(), and /register/finish takes its
// response; /sign-in/begin and /sign-in/finish do the same for navigator.credentials.get(). app.test.js tests it.
//
//     node app.js 3000

import { pathToFileURL } from "node:url";

import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import express from "express";

export function createApp(rpID, origin) {
  const app = express();
  app.use(express.json());

  const credentials = new Map(); // by their ids: { name, credential }
  const challenges = new Map(); // those that are not used yet, with the account's name of a registration

  // The challenge of a response, which cannot be used again, and its account's name.
  function take({ response }) {
    const { challenge } = JSON.parse(Buffer.from(response.clientDataJSON, "base64url"));
    if (!challenges.has(challenge)) throw new Error("the challenge is not known");
    const name = challenges.get(challenge);
    challenges.delete(challenge);
    return { name, expectedChallenge: challenge, expectedOrigin: origin, expectedRPID: rpID, requireUserVerification: true };
  }

  app.post("/register/begin", async ({ body }, reply) => {
    const options = await generateRegistrationOptions({
      rpID,
      rpName: "Passkeys on Express",
      userName: body.name,
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
    });
    challenges.set(options.challenge, body.name);
    reply.json(options);
  });

  app.post("/register/finish", async ({ body }, reply) => {
    const { name, ...expected } = take(body);
    const { verified, registrationInfo } = await verifyRegistrationResponse({ response: body, ...expected });
    if (!verified) throw new Error("the attestation's signature does not verify");
    const { credential } = registrationInfo;
    if (credentials.has(credential.id)) throw new Error("the credential is registered");
    credentials.set(credential.id, { name, credential });
    reply.json({ name });
  });

  app.post("/sign-in/begin", async (_, reply) => {
    const options = await generateAuthenticationOptions({ rpID, userVerification: "required" });
    challenges.set(options.challenge, null);
    reply.json(options);
  });

  app.post("/sign-in/finish", async ({ body }, reply) => {
    const { name: _, ...expected } = take(body);
    const stored = credentials.get(body.id);
    if (!stored) throw new Error("the credential is not known");
    const { credential, name } = stored;
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({ response: body, credential, ...expected });
    if (!verified) throw new Error("the signature does not verify");
    credential.counter = authenticationInfo.newCounter;
    reply.json({ name });
  });

  app.use((error, _request, reply, _next) => reply.status(400).json({ error: error.message }));
  return app;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const port = Number(process.argv[2] ?? 3000);
  createApp("localhost", `http://localhost:${port}`).listen(port, "127.0.0.1");
}

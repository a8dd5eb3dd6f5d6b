// What the server accepts and refuses, with a key that does what the test tells it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";

import { createApp } from "./app.js";
import { serve } from "./keyfob.js";

const RP_ID = "example.org", ORIGIN = "https://login.example.org";
let key, server;

before(async () => {
  key = await serve("--profile", "workstation", "--seed", "5", "--tcp", "127.0.0.1:0");
});

beforeEach(async () => {
  await key.tell("removeAllCredentials");
  await key.tell("tellTheTruth");
  await key.tell("setTouch", { touch: "auto" });
  server?.close();
  server = createApp(RP_ID, ORIGIN).listen(0, "127.0.0.1");
  await once(server, "listening");
});

after(async () => {
  server.close();
  await key.stop();
});

async function post(path, body = {}) {
  const headers = { "content-type": "application/json", connection: "close" };
  const url = `http://127.0.0.1:${server.address().port}${path}`;
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return [answer.status, await answer.json()];
}

// What the browser does. It passes lies on, so that the server has to find them.
async function browse(verb, options) {
  return (await key.tell(verb, { origin: ORIGIN, options, credulous: true })).response;
}

async function register(name) {
  const [, options] = await post("/register/begin", { name });
  return post("/register/finish", await browse("create", options));
}

async function signIn() {
  const [, options] = await post("/sign-in/begin");
  return post("/sign-in/finish", await browse("get", options));
}

const ALICE = [200, { name: "alice" }];

test("alice registers and signs in twice", async () => {
  assert.deepEqual([await register("alice"), await signIn(), await signIn()], [ALICE, ALICE, ALICE]);
  const { credentials: [held] } = await key.tell("getCredentials");
  assert.deepEqual([held.userName, held.rpId, held.signCount], ["alice", RP_ID, 2]);
});

for (const [lie, members] of Object.entries({
  bogusSignature: {}, userPresent: { on: false }, userVerified: { on: false }, rpId: { rpId: "example.com" },
})) {
  test(`a lie is refused: ${lie}`, async () => {
    await register("alice");
    await key.tell("lie", { lie, ...members });
    const [status, body] = await signIn();
    assert.equal(status, 400, JSON.stringify(body));
    await key.tell("tellTheTruth");
    assert.deepEqual(await signIn(), ALICE);
  });
}

test("a cloned key is found by its counter", async () => {
  await register("alice");
  await signIn();
  const { credentials: [{ credentialId }] } = await key.tell("getCredentials");
  await key.tell("setCredentialProperties", { credentialId, signCount: 0 });
  const [status, body] = await signIn();
  assert.equal(status, 400);
  assert.match(body.error, /counter/);
});

test("a response is used once", async () => {
  await register("alice");
  const [, options] = await post("/sign-in/begin");
  const response = await browse("get", options);
  assert.deepEqual(await post("/sign-in/finish", response), ALICE);
  assert.deepEqual(await post("/sign-in/finish", response), [400, { error: "the challenge is not known" }]);
});

test("a user who declines is not registered", async () => {
  await key.tell("setTouch", { touch: "deny" });
  await assert.rejects(register("alice"));
  assert.deepEqual(await key.tell("getCredentials"), { credentials: [] });
});

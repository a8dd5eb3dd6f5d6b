// The start of every script that a test runs in the page.
const bytes = (text) => Uint8Array.fromBase64(text, {alphabet: "base64url"});
// Ends with the response as JSON, or with the name of the error. A page that has waited for five seconds gives up:
// Chromium shows a refusal in a window that nobody closes here.
const ceremony = (call) => call(AbortSignal.timeout(5000)).then((made) => made.toJSON(), (error) => ({error: error.name}));
const create = (more) => ceremony((signal) => navigator.credentials.create({signal, publicKey: {
    rp: {name: "Test"}, user: {id: bytes("dXNlcg"), name: "alice", displayName: "Alice"}, challenge: new Uint8Array(32),
    pubKeyCredParams: [{type: "public-key", alg: -7}], ...more}}));
const get = (ids, more) => ceremony((signal) => navigator.credentials.get({signal, publicKey: {
    challenge: new Uint8Array(32), allowCredentials: ids.map((id) => ({type: "public-key", id: bytes(id)})), ...more}}));

// Takes WebAuthn requests from Chromium and hands each to a process of `keyfob native-host`, by native messaging. A
// request that the page gives up disconnects its process, which then cancels the key.

const HOST = "org.keyfob.native_host";
const proxy = chrome.webAuthenticationProxy;

// The ports to the processes, by requestId.
const ports = new Map();

function forward(type, { requestId, requestDetailsJson }, complete) {
  const options = JSON.parse(requestDetailsJson);
  // Chromium has checked that this origin may use the RP ID. The client checks it again.
  const caller = options.extensions.remoteDesktopClientOverride;
  delete options.extensions.remoteDesktopClientOverride;

  const port = chrome.runtime.connectNative(HOST);
  const finish = (outcome) => {
    if (ports.delete(requestId)) complete({ requestId, ...outcome });
    port.disconnect();
  };
  ports.set(requestId, port);
  port.onMessage.addListener(({ response, error }) =>
    finish(response ? { responseJson: JSON.stringify(response) } : { error }));
  port.onDisconnect.addListener(() => {
    const message = `keyfob native-host: ${chrome.runtime.lastError?.message ?? "it has ended"}`;
    finish({ error: { name: "NotAllowedError", message } });
  });
  port.postMessage({ type, ...caller, options });
}

proxy.onCreateRequest.addListener((request) => forward("create", request, proxy.completeCreateRequest));
proxy.onGetRequest.addListener((request) => forward("get", request, proxy.completeGetRequest));
// A security key is no platform authenticator.
proxy.onIsUvpaaRequest.addListener(({ requestId }) => proxy.completeIsUvpaaRequest({ requestId, isUvpaa: false }));
proxy.onRequestCanceled.addListener((requestId) => {
  const port = ports.get(requestId);
  ports.delete(requestId);
  port?.disconnect();
});

// Another extension may be the proxy already.
proxy.attach().then((error) => error && console.error(error));

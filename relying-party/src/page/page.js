'use strict';

const element = (id) => document.getElementById(id);

/* Bytes, as the server writes them: base64url without padding. */
const encode = (buffer) => {
  const text = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
};
const decode = (text) => {
  const bytes = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(bytes, (char) => char.charCodeAt(0));
};

/* Asks the server. Fails with its sentence. */
const ask = async (method, path, body) => {
  const request = { method, headers: { accept: 'application/json' }, credentials: 'same-origin' };
  if (body !== undefined) {
    request.headers['content-type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await (await fetch(path, request)).json();
  } catch {
    throw new Error('The server does not answer.');
  }
  if (answer.status !== 'ok') {
    throw Object.assign(new Error(answer.errorMessage), { code: answer.errorCode });
  }
  return answer;
};

const say = (text, bad = false) => {
  element('message').textContent = text;
  element('message').classList.toggle('bad', bad);
};

/* What a key's or a browser's refusal means. */
const explain = (error) => {
  switch (error.name) {
    case 'NotAllowedError': return 'Nothing was done: it was cancelled, took too long, or no key here fits.';
    case 'InvalidStateError': return 'This key is registered already.';
    case 'NotSupportedError': return 'This key cannot do what was asked for.';
    case 'SecurityError': return 'This page’s address may not use keys of this server.';
    default: return `That did not work: ${error.message}.`;
  }
};

const descriptors = (list) => list.map((descriptor) => ({ ...descriptor, id: decode(descriptor.id) }));

const register = async (name) => {
  const algorithm = element('algorithm').value;
  const options = await ask('POST', 'attestation/options', {
    username: name,
    displayName: name,
    attestation: element('attestation').value,
    algorithms: algorithm ? [algorithm] : [],
    authenticatorSelection: { residentKey: 'preferred', userVerification: element('verification').value },
  });
  say('Use your key now.');
  const credential = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      user: { ...options.user, id: decode(options.user.id) },
      excludeCredentials: descriptors(options.excludeCredentials),
    },
  });
  const response = credential.response;
  await ask('POST', 'attestation/result', {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    response: {
      clientDataJSON: encode(response.clientDataJSON),
      attestationObject: encode(response.attestationObject),
      transports: response.getTransports(),
    },
    getClientExtensionResults: {},
  });
};

const signIn = async (name) => {
  const options = await ask('POST', 'assertion/options', {
    username: name || undefined,
    userVerification: element('verification').value,
  });
  say('Use your key now.');
  const credential = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      allowCredentials: descriptors(options.allowCredentials),
    },
  });
  const response = credential.response;
  await ask('POST', 'assertion/result', {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: encode(response.clientDataJSON),
      authenticatorData: encode(response.authenticatorData),
      signature: encode(response.signature),
      userHandle: response.userHandle ? encode(response.userHandle) : undefined,
    },
    getClientExtensionResults: {},
  });
};

/* Does what needs a recent sign-in; signs in again first where the last one was too long ago. */
const recently = async (work) => {
  try {
    return await work();
  } catch (error) {
    if (error.code !== 'sign-in-again') {
      throw error;
    }
    await signIn(element('who').dataset.name);
    return work();
  }
};

const attestationTypes = {
  none: 'nothing proved',
  self: 'by its own key',
  certificate: 'by a certificate that is not trusted here',
  trusted: 'by a certificate that is trusted here',
};

const time = (seconds) => new Date(seconds * 1000).toLocaleString();

/* One key: what it said of itself, and a button to delete it. */
const keyItem = (key) => {
  const flags = [
    key.flags.userPresent && 'user present',
    key.flags.userVerified && 'user verified',
    key.flags.backupEligible && 'may be backed up',
    key.flags.backedUp && 'backed up',
  ].filter(Boolean).join(', ');
  const facts = {
    'Id': key.id,
    'Registered': time(key.created),
    'Last used': key.lastUsed === null ? 'never' : time(key.lastUsed),
    'Algorithm': key.algorithm,
    'Flags': flags || 'none',
    'Counter': key.signCount,
    'Attestation': `${key.attestation.format}, ${attestationTypes[key.attestation.type]}`,
    'AAGUID': key.aaguid,
  };
  const item = document.createElement('li');
  const list = item.appendChild(document.createElement('dl'));
  for (const [name, value] of Object.entries(facts)) {
    list.appendChild(document.createElement('dt')).textContent = name;
    list.appendChild(document.createElement('dd')).textContent = value;
  }
  const button = item.appendChild(document.createElement('button'));
  button.type = 'button';
  button.textContent = 'Delete';
  button.setAttribute('aria-label', `Delete the key registered ${time(key.created)}`);
  button.addEventListener('click', () => run(async () => {
    const answer = await recently(() => ask('DELETE', `account/credentials/${key.id}`));
    await show();
    return answer.accountDeleted ? 'The key is deleted, and with it the account.' : 'The key is deleted.';
  }));
  return item;
};

/* One session: since when, in which browser, and a button to end it. */
const sessionItem = (session) => {
  const item = document.createElement('li');
  const since = time(session.since);
  const here = session.current ? 'this browser' : session.agent || 'another client';
  item.appendChild(document.createElement('p')).textContent = `Since ${since}, ${here}`;
  if (!session.current) {
    const button = item.appendChild(document.createElement('button'));
    button.type = 'button';
    button.textContent = 'End';
    button.setAttribute('aria-label', `End the session since ${since}`);
    button.addEventListener('click', () => run(async () => {
      await ask('DELETE', `account/sessions/${session.id}`);
      await show();
      return 'The session is ended.';
    }));
  }
  return item;
};

/* Shows who is signed in, or the way in. The heading takes the focus when the view changes. */
const show = async () => {
  let account = null;
  try {
    account = await ask('GET', 'account');
    account.sessions = (await ask('GET', 'account/sessions')).sessions;
  } catch {
    /* nobody is signed in */
  }
  const [now, other] = account ? ['inside', 'outside'] : ['outside', 'inside'];
  const changed = !element(other).hidden;
  element(now).hidden = false;
  element(other).hidden = true;
  if (account) {
    element('who').textContent = account.displayName;
    element('who').dataset.name = account.username;
    element('keys').replaceChildren(...account.credentials.map(keyItem));
    element('sessions').replaceChildren(...account.sessions.map(sessionItem));
  }
  if (changed) {
    element(`${now}-title`).focus();
  }
};

/* Does one thing at a time and says what came of it. */
const run = async (work) => {
  const buttons = [...document.querySelectorAll('button')];
  buttons.forEach((button) => { button.disabled = true; });
  say('One moment.');
  try {
    say(await work());
  } catch (error) {
    say(error instanceof DOMException ? explain(error) : `${error.message}`, true);
  }
  document.querySelectorAll('button').forEach((button) => { button.disabled = false; });
};

element('form').addEventListener('submit', (event) => {
  event.preventDefault();
  run(async () => {
    await signIn(element('name').value.trim());
    await show();
    return 'You are signed in.';
  });
});

element('create').addEventListener('click', () => run(async () => {
  const name = element('name').value.trim();
  if (!name) {
    element('name').focus();
    throw new Error('Choose a name first.');
  }
  await register(name);
  await show();
  return 'The account is created.';
}));

element('add').addEventListener('click', () => run(async () => {
  await recently(() => register(element('who').dataset.name));
  await show();
  return 'The key is added.';
}));

element('sign-out').addEventListener('click', () => run(async () => {
  await ask('POST', 'account/sign-out', {});
  await show();
  return 'You are signed out.';
}));

show();

// A virtual key of keyfob, and its control socket: JSON lines, whose verbs docs/control.schema.json has.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import readline from "node:readline";

// Starts `keyfob serve` with these options. Tell it a verb with its members; `await key.stop()` ends it.
export async function serve(...options) {
  const command = ["serve", "--json", "--control", "tcp:127.0.0.1:0", ...options];
  const child = spawn(process.env.KEYFOB ?? "keyfob", command, { stdio: ["ignore", "pipe", "inherit"] });
  const said = readline.createInterface({ input: child.stdout });
  const [line] = await once(said, "line");
  said.resume(); // the key's events
  const [, host, port] = JSON.parse(line).control.match(/^tcp:(.*):(\d+)$/);
  const socket = net.connect(Number(port), host);
  await once(socket, "connect");

  const waiting = new Map();
  let last = 0;
  readline.createInterface({ input: socket }).on("line", (answer) => {
    const { id, result, error } = JSON.parse(answer);
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(Object.assign(new Error(error.message), error));
    else resolve(result);
  });
  const ended = once(child, "exit");
  return {
    tell: (verb, params = {}) => new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      socket.write(JSON.stringify({ id, verb, params }) + "\n");
    }),
    stop: () => {
      socket.destroy();
      child.kill();
      return ended;
    },
  };
}

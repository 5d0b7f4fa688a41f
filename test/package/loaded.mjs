// Prints the files of other packages that a module loads: `openai/core/error.mjs`. Of what CommonJS modules load in turn it knows nothing.
//   node test/package/loaded.mjs millrace/client
import module from 'node:module';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';

const { port1, port2 } = new MessageChannel();
const hooks = `
  let port;
  export function initialize(given) { port = given; }
  export async function load(url, context, next) {
    port.postMessage(url);
    return next(url, context);
  }
`;
module.register(`data:text/javascript,${encodeURIComponent(hooks)}`, { data: port2, transferList: [port2] });
await import(process.argv[2]);

const files = new Set();
for (let message = receiveMessageOnPort(port1); message !== undefined; message = receiveMessageOnPort(port1)) {
  const file = /.*\/node_modules\/(.+)/.exec(message.message)?.[1];
  if (file !== undefined) files.add(file);
}
process.stdout.write(`${JSON.stringify([...files].sort())}\n`);
port1.close();

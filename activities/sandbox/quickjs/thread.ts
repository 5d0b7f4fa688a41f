import { parentPort, workerData } from 'node:worker_threads';
import { evaluate } from './evaluate.js';
import type { Message, Order } from './messages.js';

/* The thread of one call: evaluates the code that it is started with, sends what it gives, and is ended. */

const send = (message: Message) => parentPort?.postMessage(message);
send(await evaluate(workerData as Order, () => send('begun')));

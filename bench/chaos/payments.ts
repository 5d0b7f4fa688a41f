import { z } from 'zod';
import { approve, code, pipeline } from '../../pipelines/index.js';
import { effect, shape } from './effect.js';

/** Duration of each side effect, in milliseconds. */
const EFFECT_MS = { reserve: 300, charge: 1_500, receipt: 800, close: 200 } as const;

const given = z.object({ ...shape, after: z.string().optional() });
const done = z.object({ done: z.string() });
const policy = {
  retry: { attempts: 10, backoff: { initial: '200ms', factor: 2, max: '2s' } },
  timeout: { attempt: '20s', total: '120s' },
} as const;
const inline = { ...policy, execution: 'inline' } as const;
const input = z.object(shape);

/** Result of a release's function. */
export const doneBy = (release: string, name: keyof typeof EFFECT_MS, run: number): string =>
  `${name} of ${run} by ${release}`;

/** The pipelines of a release: releases differ only in their functions. */
export function paymentsOf(release: string) {
  const step = (name: keyof typeof EFFECT_MS) =>
    code(name, { input: given, output: done }, async (order, context) => {
      await effect(order, name, EFFECT_MS[name], context);
      return { done: doneBy(release, name, order.run) };
    });
  const [reserve, charge, receipt, close] = [step('reserve'), step('charge'), step('receipt'), step('close')];

  /** Four side effects, each of which reads the one before, in one segment: a fast host runs it if a client waits. */
  const payment = pipeline('chaos-payment', { input, deadline: '3m' }, ({ input: { run, receiver }, stage }) => {
    const reserved = stage('reserve', reserve, { run, receiver }, inline);
    const charged = stage('charge', charge, { run, receiver, after: reserved.done }, inline);
    const receiptSent = stage('receipt', receipt, { run, receiver, after: charged.done }, inline);
    const closed = stage('close', close, { run, receiver, after: receiptSent.done }, inline);
    return { first: reserved.done, last: closed.done };
  });

  /** The same with its first and its last side effect on queues, and a segment between them. */
  const order = pipeline('chaos-order', { input, deadline: '3m' }, ({ input: { run, receiver }, stage }) => {
    const reserved = stage('reserve', reserve, { run, receiver }, policy);
    const charged = stage('charge', charge, { run, receiver, after: reserved.done }, inline);
    const receiptSent = stage('receipt', receipt, { run, receiver, after: charged.done }, inline);
    const closed = stage('close', close, { run, receiver, after: receiptSent.done }, policy);
    return { first: reserved.done, last: closed.done };
  });

  /** A side effect before and after a decision. */
  const approval = pipeline('chaos-approval', { input, deadline: '3m' }, ({ input: { run, receiver }, stage }) => {
    const reserved = stage('reserve', reserve, { run, receiver }, policy);
    const decided = stage('decide', approve({ timeout: '2m' }), { subject: reserved.done });
    const closed = stage('close', close, { run, receiver, after: decided.by }, policy);
    return { first: reserved.done, last: closed.done, approved: decided.approved };
  });
  return { payment, order, approval };
}

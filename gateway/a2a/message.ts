import { z } from 'zod';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { closestOf } from '../openai/body.js';
import { invalidParam } from '../openai/error-body.js';
import { listOf } from '../openai/list-of.js';
import { kindOf, type SentPart } from '../openai/sent-parts.js';
import { decisionOf } from '../rest/decision.js';
import type { AnswerOfRun } from '../waiting/decide-as.js';
import { ProtocolError, RPC } from './errors.js';

/** Ids that clients choose; they become part of keys in the state store. */
const ID = /^[\x21-\x7e]{1,128}$/;
const id = z.string().regex(ID, 'must be 1 to 128 visible ASCII characters');
/** ProtoJSON may state a default, which is the same as leaving it out. */
const optionalId = z.union([z.literal(''), id]).optional();
const MOST_PARTS = 100;

const part = z.looseObject({
  text: z.string().optional(),
  raw: z.string().optional(),
  url: z.string().optional(),
  data: z.unknown().optional(),
  mediaType: z.string().optional(),
  filename: z.string().max(255).optional(),
});

/** What is sent in a header. */
const token = z.string().regex(/^[\x21-\x7e]{0,1024}$/, 'must be at most 1,024 visible ASCII characters');
const authentication = z.looseObject({
  scheme: z
    .string()
    .regex(/^([A-Za-z][A-Za-z0-9._-]{0,63})?$/, 'must be the name of a scheme such as "Bearer"')
    .default(''),
  credentials: z
    .string()
    .regex(/^[\x20-\x7e]{0,4096}$/, 'must be at most 4,096 printable ASCII characters')
    .default(''),
});
const pushConfig = z.looseObject({
  id: optionalId,
  url: z.string().min(1, 'must be a URL'),
  token: token.default(''),
  authentication: authentication.optional(),
});

const sendParams = z.looseObject({
  message: z.looseObject({
    messageId: id,
    contextId: optionalId,
    taskId: optionalId,
    role: z.literal('ROLE_USER', 'must be "ROLE_USER", in 0.3 "user"'),
    parts: listOf(part, { min: 1, max: MOST_PARTS }),
  }),
  configuration: z
    .looseObject({ returnImmediately: z.boolean().optional(), taskPushNotificationConfig: pushConfig.optional() })
    .optional(),
});
const taskParams = z.looseObject({ id: z.string() });
const push = { taskId: z.string() };
const setPushParams = pushConfig.extend(push);
const pushParams = z.looseObject({ ...push, id: optionalId });

/** A receiver of a task's updates, as its client names it. */
export type GivenPush = z.output<typeof pushConfig>;

/** A message as its sender means it. */
export interface Sent {
  readonly messageId: string;
  readonly contextId?: string;
  /** The task that it continues. */
  readonly taskId?: string;
  /** Texts and files, in order. */
  readonly said: readonly SentPart[];
  /** Data, with their paths in the request. */
  readonly data: readonly { readonly param: string; readonly value: Json }[];
  /** The sender does not wait for the task's end. */
  readonly immediate: boolean;
  /** Where the task's updates are sent to. */
  readonly push?: GivenPush;
}

/** Reads the parameters of a message. Throws `INVALID_INPUT` naming the fields. */
export function sentIn(params: Json): Sent {
  const { message, configuration = {} } = read(sendParams, params);
  const { taskPushNotificationConfig: push } = configuration;
  const { messageId, contextId = '', taskId = '' } = message;
  const said: SentPart[] = [];
  const data: { param: string; value: Json }[] = [];
  for (const [i, each] of message.parts.entries()) {
    const param = `message.parts.${i}`;
    const contents = (['text', 'raw', 'url', 'data'] as const).filter((name) => each[name] !== undefined);
    if (contents.length !== 1)
      throw invalidParam(
        param,
        'must have one of text, raw, url and data, in 0.3 one of the kinds text, file and data',
      );
    if (each.text !== undefined) said.push({ type: 'text', text: each.text });
    else if (each.data !== undefined) data.push({ param: `${param}.data`, value: each.data as Json });
    else said.push(fileOf(each, param));
  }
  return {
    messageId,
    ...(contextId !== '' && { contextId }),
    ...(taskId !== '' && { taskId }),
    said,
    data,
    immediate: configuration.returnImmediately === true,
    ...(push && { push }),
  };
}

/** Reads the task that a request is about. Throws `INVALID_INPUT`. */
export const taskIn = (params: Json): string => read(taskParams, params).id;

/** The same, with a receiver of its updates. */
export const pushIn = (params: Json): GivenPush & { readonly taskId: string } => read(setPushParams, params);

/** The same, with the id of a receiver; without one that of the task. */
export function pushNameIn(params: Json): { readonly taskId: string; readonly id: string } {
  const { taskId, id = '' } = read(pushParams, params);
  return { taskId, id: id || taskId };
}

function fileOf({ raw, url = '', filename = '', ...given }: z.output<typeof part>, param: string): SentPart {
  const mediaType = (given.mediaType ?? '').toLowerCase();
  if (mediaType === '') throw invalidParam(`${param}.mediaType`, 'is required for files');
  const type = kindOf(mediaType);
  const name = type === 'file' && filename !== '' ? { name: filename } : {};
  return { type, url: raw === undefined ? url : `data:${mediaType};base64,${raw}`, ...name };
}

/**
 * The decisions in a message to a task that waits: data with `approved` and the body of `/v1/runs/{id}/approve`. Throws
 * `INVALID_INPUT` for a message that has anything else.
 */
export function decisionsIn({ said, data }: Sent): readonly AnswerOfRun[] {
  const form = 'a task that waits takes data: {"nonce": "…", "approved": true}';
  if (said.length > 0 || data.length === 0) throw invalidParam('message.parts', form);
  return data.map(({ param, value }) => {
    const { approved, ...given } = isJsonObject(value) ? value : ({} as JsonObject);
    if (typeof approved !== 'boolean') throw invalidParam(`${param}.approved`, `must be true or false: ${form}`);
    return { ...decisionOf(given, approved, param), approved } as AnswerOfRun;
  });
}

export const noPush = (): ProtocolError =>
  new ProtocolError(
    RPC.pushNotSupported,
    'INVALID_INPUT',
    'push notifications are off: they need webhook secrets of the tenant (MILLRACE_WEBHOOKS); follow the task by a stream',
  );

function read<S extends z.ZodType>(schema: S, params: Json): z.output<S> {
  const { data, error } = schema.safeParse(params);
  if (!error) return data;
  throw invalidFields(
    'INVALID_INPUT',
    error.issues.map(closestOf).map(({ path, message }) => ({ field: path.join('.') || 'params', message })),
  );
}

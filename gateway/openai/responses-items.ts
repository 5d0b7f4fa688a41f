import { z } from 'zod';
import { listOf } from './list-of.js';
import { LONGEST_SEALED } from './sealed-reasoning.js';
import { imageDetail } from './sent-parts.js';

/** Most items that are added to a conversation at once. */
const MOST_ITEMS = 20;
/** Limit of OpenAI's. */
export const LONGEST_ID = 300;

const textPart = z.object({ type: z.enum(['input_text', 'output_text']), text: z.string() });
const imagePart = z.object({ type: z.literal('input_image'), image_url: z.string(), detail: imageDetail.nullish() });
const filePart = z
  .object({
    type: z.literal('input_file'),
    file_data: z.string().nullish(),
    filename: z.string().min(1).max(255).nullish(),
    file_id: z.null('is not supported: files are not kept under ids here; send file_data').optional(),
    file_url: z.string().nullish(),
  })
  .refine(({ file_data: data, file_url: url }) => (typeof data === 'string') !== (typeof url === 'string'), {
    path: ['file_data'],
    message: 'is required, or file_url in its place',
  });
const audioPart = z.object({
  type: z.literal('input_audio'),
  input_audio: z.object({ data: z.string(), format: z.string().regex(/^[a-z0-9]{1,16}$/) }),
});
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });

export const part = z.discriminatedUnion('type', [textPart, imagePart, filePart, audioPart, refusalPart]);

export const message = z.object({
  type: z.literal('message').optional(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), listOf(part)]),
});
const functionCall = z.object({
  type: z.literal('function_call'),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
});
const resultPart = z.discriminatedUnion('type', [textPart, imagePart, filePart]);
const callOutput = { call_id: z.string(), output: z.union([z.string(), listOf(resultPart)]) };
const functionOutput = z.object({ type: z.literal('function_call_output'), ...callOutput });
const customOutput = z.object({ type: z.literal('custom_tool_call_output'), ...callOutput });
const customCall = z.object({
  type: z.literal('custom_tool_call'),
  call_id: z.string(),
  name: z.string(),
  input: z.string(),
});
/** A call that the run of an earlier response has executed, sent back by the client. */
const executedCall = z.object({
  type: z.literal('mcp_call'),
  id: z.string(),
  name: z.string(),
  arguments: z.string(),
  output: z.string().nullish(),
  error: z.string().nullish(),
});
/** What a model has thought: `content` says it, `encrypted_content` where the client is to keep it unread. */
export const reasoning = z.object({
  type: z.literal('reasoning'),
  id: z.string().optional(),
  summary: listOf(z.object({ type: z.literal('summary_text'), text: z.string() })).nullish(),
  content: listOf(z.object({ type: z.literal('reasoning_text'), text: z.string() })).nullish(),
  encrypted_content: z.string().max(LONGEST_SEALED).nullish(),
});
/** An item of an earlier response or of a conversation. */
const reference = z.object({ type: z.literal('item_reference'), id: z.string().min(1).max(LONGEST_ID) });
const untyped = reference.extend({ type: z.undefined().optional() });
// By their types, since a union tries each alternative with each of thousands of items.
export const item = z.discriminatedUnion('type', [
  message,
  functionCall,
  functionOutput,
  customCall,
  customOutput,
  executedCall,
  reasoning,
]);
export type Item = z.output<typeof item>;
/** An item of a request. */
export const givenItem = z.union([z.discriminatedUnion('type', [...item.options, reference]), untyped]);
export type GivenItem = z.output<typeof givenItem>;
/** Of items that a conversation takes. */
export const items = listOf(item, { max: MOST_ITEMS });

/** Whether an item refers to one that the gateway knows. */
export const isReference = (each: GivenItem): each is z.output<typeof reference | typeof untyped> =>
  !('role' in each) && (each.type === undefined || each.type === 'item_reference');

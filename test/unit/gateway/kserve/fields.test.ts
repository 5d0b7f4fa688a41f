import { expect, it } from 'vitest';
import { tensorFields } from '../../../../gateway/kserve/fields.js';
import { everyForm } from '../../../support/kserve-pipelines.js';

const table = (schema: Parameters<typeof tensorFields>[0]) =>
  tensorFields(schema).map(({ name, holds, datatype, shape, optional, list }) => [
    name,
    holds,
    `${datatype} [${shape}]`,
    ...(optional ? ['optional'] : []),
    ...(list ? ['list'] : []),
  ]);

it('maps every form of a field', () => {
  expect(table(everyForm.inputSchema)).toEqual([
    ['text', 'text', 'BYTES [1]'],
    ['count', 'integer', 'INT64 [1]'],
    ['share', 'number', 'FP64 [1]', 'optional'],
    ['sure', 'boolean', 'BOOL [1]', 'optional'],
    ['label', 'text', 'BYTES [1]', 'optional'],
    ['sound', 'audio', 'BYTES [1]', 'optional'],
    ['pictures', 'image', 'BYTES [-1]', 'optional', 'list'],
    ['words', 'text', 'BYTES [-1]', 'optional', 'list'],
    ['numbers', 'number', 'FP64 [-1]', 'optional', 'list'],
    ['gaps', 'json', 'BYTES [-1]', 'optional', 'list'],
    ['pair', 'text', 'BYTES [-1]', 'optional', 'list'],
    ['either', 'json', 'BYTES [1]', 'optional'],
    ['config', 'json', 'BYTES [1]', 'optional'],
    ['matrix', 'tensor', 'FP32 [-1,2]', 'optional'],
  ]);
});

it('maps an output as the input that it gives back', () => {
  const required = (rows: unknown[][]) => rows.map((row) => row.filter((each) => each !== 'optional'));
  expect(required(table(everyForm.outputSchema))).toEqual(required(table(everyForm.inputSchema)));
});

it('knows the rate that an audio field asks for', () => {
  expect(tensorFields(everyForm.inputSchema).find(({ name }) => name === 'sound')).toMatchObject({ rate: 8_000 });
});

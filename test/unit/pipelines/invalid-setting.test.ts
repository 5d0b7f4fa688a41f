import { expect, it } from 'vitest';
import { MOST_FIELDS } from '../../../pipelines/invalid-fields.js';
import { invalidSetting, invalidSettings } from '../../../pipelines/invalid-setting.js';

it('names the setting, or what has the field', () => {
  expect(invalidSetting('MILLRACE_KEYS', 'is not JSON')).toMatchObject({
    code: 'INVALID_SETTING',
    message: 'MILLRACE_KEYS: is not JSON',
    details: { fields: [{ field: 'MILLRACE_KEYS', message: 'is not JSON' }] },
  });
  expect(invalidSetting('tts.kind', 'is unknown', 'models')).toMatchObject({
    message: 'models: tts.kind: is unknown',
    details: { fields: [{ field: 'tts.kind', message: 'is unknown' }] },
  });
});

it('names all fields, in full', () => {
  const fields = Array.from({ length: MOST_FIELDS + 1 }, (_, i) => ({ field: `f${i}`, message: 'x'.repeat(1_000) }));
  const { message, details } = invalidSettings(fields, 'models.json');
  expect(details.fields).toEqual(fields);
  expect(message).toBe(`models.json: ${fields.map((each) => `${each.field}: ${each.message}`).join('; ')}`);
});

import { type Settings, settingsSchema } from '../workers/settings.js';
import { bold, show } from './output.js';

/** Prints every setting with its default and description. */
export function listSettings(): void {
  const schema = settingsSchema();
  const defaults = schema.parse({}) as Settings;
  for (const [name, field] of Object.entries(schema.shape)) {
    const value = defaults[name as keyof Settings];
    show(`${bold(name)}${value === undefined ? '' : `=${String(value)}`}\n    ${field.description ?? ''}`);
  }
}

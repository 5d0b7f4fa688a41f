import { defineConfig } from 'millrace/server';

export default defineConfig({
  pipelines: './pipelines.ts',
  models: './models.json',
  // Settings by the names of their variables; variables take precedence. `npx millrace settings` lists them.
  settings: {},
});

export { parseSandboxes, type SandboxConfig, type SandboxesConfig } from './config.js';
export { openSandboxes, Sandboxes } from './sandboxes.js';
export { sandboxKind } from './worker-kind.js';

export { type Tool, type ToolOptions, type ToolPolicy, tool } from './tool.js';

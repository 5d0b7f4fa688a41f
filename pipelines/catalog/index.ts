import type { Pipeline } from '../definition/index.js';
import { voiceAssistant } from './voice-assistant.js';

export { voiceAssistant };

/** The pipelines that Millrace ships. */
export const pipelines: readonly Pipeline[] = [voiceAssistant];

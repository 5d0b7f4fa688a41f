/** Media as bytes and as samples: the only place that knows file formats. */
export { createAudioPort } from './audio-port.js';
export { WavInspector } from './wav-inspector.js';

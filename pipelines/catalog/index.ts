import type { Pipeline } from '../definition/index.js';
import { assistant } from './assistant.js';
import { captionedVideo } from './captioned-video.js';
import { diarisedMinutes } from './diarised-minutes.js';
import { meetingMinutes } from './meeting-minutes.js';
import { chatModel, embedModel, speakModel, transcribeModel } from './model-pipelines.js';
import { moderatedChat } from './moderated-chat.js';
import { ingest, ragAnswer } from './rag-answer.js';
import { receiptReader } from './receipt-reader.js';
import { supportAgent } from './support-agent.js';
import { voiceAgent } from './voice-agent.js';
import { voiceAssistant } from './voice-assistant.js';

export {
  assistant,
  captionedVideo,
  chatModel,
  diarisedMinutes,
  embedModel,
  ingest,
  meetingMinutes,
  moderatedChat,
  ragAnswer,
  receiptReader,
  speakModel,
  supportAgent,
  transcribeModel,
  voiceAgent,
  voiceAssistant,
};

/** The pipelines that Millrace ships. */
export const pipelines: readonly Pipeline[] = [
  voiceAssistant,
  assistant,
  meetingMinutes,
  diarisedMinutes,
  captionedVideo,
  receiptReader,
  moderatedChat,
  ragAnswer,
  ingest,
  voiceAgent,
  supportAgent,
  chatModel,
  embedModel,
  transcribeModel,
  speakModel,
];

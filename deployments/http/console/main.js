/** The console: each tab sets itself up, then the tab named by the URL is shown. */

import "./tabs/chat.js";
import "./tabs/documents.js";
import "./tabs/speech-to-text.js";
import "./tabs/text-to-speech.js";
import "./tabs/generate-image.js";
import "./tabs/describe-image.js";
import "./tabs/enhance-image.js";
import "./tabs/animate-image.js";
import "./tabs/track-video.js";
import "./tabs/interpolate-video.js";
import "./tabs/jobs.js";
import "./tabs/account.js";
import { showCategories } from "./categories.js";
import { guardUploads } from "./job-tab.js";
import { refuseStrayDrops } from "./pick.js";
import { readSession } from "./session.js";
import { watchCapabilities } from "./status.js";
import { setUpTabs } from "./tabs.js";

showCategories();
localStorage.removeItem("sensorium.key"); // where an earlier release kept it
readSession();
refuseStrayDrops();
guardUploads();
setUpTabs();
watchCapabilities();

/** Animate image: an image → a short video. */

import { addJobTab, fileOf, numberOf } from "../job-tab.js";
import { download, figure, player, sourceOf } from "../media.js";

addJobTab({
  name: "animate-image",

  describe(form) {
    const { prompt, frames, fps, motion, seed } = form.elements;
    return {
      path: "/image/generateVideo",
      query: { frames: numberOf(frames), fps: numberOf(fps), motion: numberOf(motion), seed: numberOf(seed) },
      form: { field: "file", file: fileOf(form), example: "photo.jpg", texts: { prompt: prompt.value.trim() } },
      asJob: true,
    };
  },

  async show(result) {
    const src = sourceOf(result.svdVideoUrl);
    return figure(player(src, "The video"), download(src, "animated.mp4"));
  },
});

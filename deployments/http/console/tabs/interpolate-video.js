/** Interpolate video: a video → a smoother one. */

import { addJobTab, fileOf, numberOf } from "../job-tab.js";
import { besideOriginal, download, sourceOf } from "../media.js";

addJobTab({
  name: "interpolate-video",

  describe(form) {
    return {
      path: "/video/mmeditingInference",
      query: { fps: numberOf(form.elements.fps) },
      form: { field: "file", file: fileOf(form), example: "street.mp4" },
      asJob: true,
    };
  },

  async show(result, original) {
    const src = sourceOf(result.data);
    return besideOriginal(original, src, "Interpolated ", download(src, "interpolated.mp4"));
  },
});

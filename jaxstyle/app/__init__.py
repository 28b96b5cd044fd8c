"""The app in a browser, of Gradio's parts: `jaxstyle app`."""

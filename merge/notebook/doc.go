// Package notebook merges Jupyter notebooks by cells. It is pure: bytes in, bytes out.
package notebook

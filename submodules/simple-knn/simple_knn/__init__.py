"""Mean squared distance to the three nearest neighbours; the function is `simple_knn._C.distCUDA2`, as upstream."""
